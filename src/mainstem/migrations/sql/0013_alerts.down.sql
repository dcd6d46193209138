drop schema alerts cascade;
drop table platform.mail;
drop table platform.minute;
