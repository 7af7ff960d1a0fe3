"""Torch on packed rows: no padding anywhere. `engine` is the way in; nothing here is imported unless this engine is chosen."""
