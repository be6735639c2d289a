"""Exact solutions and limits of the flow."""
