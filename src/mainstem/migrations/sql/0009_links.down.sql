drop schema links cascade;
