"""The pictures, a module a subject."""
