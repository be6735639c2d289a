"""Data sets: in memory or streamed, from images, archives or shards."""
