"""Every setting, its value, and where the value comes from."""

from dobby.config.layers import DEFAULT, from_environment, resolve
from dobby.config.table import HostEntry, Options, Setting, known_settings
from dobby.config.user_file import load_user_file, user_path
from dobby.core.settings import parse_duration_s

__all__ = [
    "DEFAULT",
    "HostEntry",
    "Options",
    "Setting",
    "from_environment",
    "known_settings",
    "load_user_file",
    "parse_duration_s",
    "resolve",
    "user_path",
]
