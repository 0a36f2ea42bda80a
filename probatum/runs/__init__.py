"""Run folders: written atomically, resumed after an interruption, shared by processes and read back within bounds."""
