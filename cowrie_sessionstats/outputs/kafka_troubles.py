"""What a broker's or librdkafka's errors mean: for a record, and for an operator."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

REFUSED: Final = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
    }
)
"""Errors that a message has by itself, and will have the next time; all others are the broker's."""

TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})

_MEANING: Final = {
    KafkaError._ALL_BROKERS_DOWN: (  # noqa: SLF001
        "no broker can be reached, or each ends the connection at once, as those do that do not "
        "take our certificate. Start them, or correct brokers, transport, auth and cert_file"
    ),
    KafkaError._AUTHENTICATION: "it does not let us in. Correct auth, user and password",  # noqa: SLF001
    KafkaError._RESOLVE: "a host of brokers is not known. Correct it, or look at the name server",  # noqa: SLF001
    KafkaError._SSL: "TLS failed. Look at transport, ca_file, cert_file and key_file",  # noqa: SLF001
    KafkaError._TRANSPORT: (  # noqa: SLF001
        "a broker cannot be reached. Start it, or correct brokers and transport"
    ),
    KafkaError._UNKNOWN_TOPIC: "there is no such topic. Create it, or correct topic",  # noqa: SLF001
    KafkaError.UNKNOWN_TOPIC_OR_PART: "there is no such topic. Create it, or correct topic",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (
        "we may not write to this topic. Give the user the right Write on it"
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: (
        "we may not write there. Before Kafka 2.8, the user needs the right IdempotentWrite on "
        "the cluster, too"
    ),
}


def meaning(error: KafkaError) -> str:
    """Return what an error means and what to do, then its own words.

    A broker can have a say in those; whoever shows them has to expect anything.
    """
    own = f"{error.name()}: {error.str()}"
    # What fails in TLS comes now as an error of TLS, now as one of the connection.
    known = _MEANING.get(KafkaError._SSL if "SSL" in error.str() else error.code())  # noqa: SLF001
    return f"{known} ({own})" if known else own
