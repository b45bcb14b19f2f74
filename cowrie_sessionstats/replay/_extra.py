"""What to say where a package is missing that only the command line needs."""

from typing import Final

EXTRA: Final = "Install it with: pip install 'cowrie-sessionstats[cli]'"
