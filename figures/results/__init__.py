"""Result files as typed records."""
