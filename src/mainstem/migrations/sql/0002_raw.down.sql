drop schema staging cascade;
drop schema raw cascade;
