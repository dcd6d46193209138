"""A language model behind an OpenAI-compatible endpoint. `model` loads an agent framework, so it is imported only where one is set."""
