drop trigger tenant_ghosts on platform.tenant;
drop schema business cascade;
drop schema vault cascade;
