"""What to say where a package is missing that only the command line needs."""

from typing import Final

from cowrie_sessionstats.extras import install_command

EXTRA: Final = f"Install it with: {install_command('cli')}"
