"""How many descriptors this process has open."""

import os


def count_open_files() -> int:
    """Cheap since Linux 6.2, where the folder's size is their number; before, the folder is read."""
    return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))
