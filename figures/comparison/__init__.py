"""Results beside other results: made again and compared, or overlaid."""
