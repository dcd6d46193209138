"""The vault: model, engine, loader. What other modules may use is exported by its files, not from here."""
