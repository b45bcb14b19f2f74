"""A command line's template, a session's fingerprint, and the vocabulary both rest on."""

from cowrie_sessionstats.commands.fingerprints import Script, fingerprint
from cowrie_sessionstats.commands.templates import Plan, Templates
from cowrie_sessionstats.commands.vocabulary import (
    Vocabulary,
    VocabularyError,
    default_vocabulary,
    read_vocabulary,
)

__all__ = [
    "Plan",
    "Script",
    "Templates",
    "Vocabulary",
    "VocabularyError",
    "default_vocabulary",
    "fingerprint",
    "read_vocabulary",
]
