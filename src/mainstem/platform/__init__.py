"""What every module stands on: settings, database, errors, HTTP, keys, limits, logs. Knows no feature."""
