drop schema connectors cascade;
