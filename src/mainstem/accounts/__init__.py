"""Accounts of people: sign-up, invitations, links by mail, passwords, sessions and keys of one's own."""
