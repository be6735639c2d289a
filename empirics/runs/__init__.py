"""One run at work: its levels, what each starts from, resumption, records."""
