"""The words by which a customer stops and starts texts to a number, which Twilio itself answers."""

from app.sandbox.messaging.addresses import SMS
from app.sandbox.messaging.memory import MessagingMemory

STOP, START, HELP = "STOP", "START", "HELP"
KEYWORDS = {
    **dict.fromkeys(("STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"), STOP),
    **dict.fromkeys(("START", "UNSTOP", "YES"), START),
    **dict.fromkeys(("HELP", "INFO"), HELP),
}
ANSWERS = {
    STOP: "You have been unsubscribed and will get no more messages from this number. Reply START to subscribe again.",
    START: "You are subscribed again. Reply HELP for help, STOP to unsubscribe.",
    HELP: "Reply STOP to unsubscribe.",
}


def read_keyword(kind: str, body: str) -> str | None:
    """Only a text that is nothing but the word counts."""
    return KEYWORDS.get(body.strip().upper()) if kind == SMS else None


def apply(memory: MessagingMemory, address: str, keyword: str) -> str | None:
    """Note the wish; what is answered, if it is new."""
    was_out = address in memory.opted_out
    if keyword == STOP:
        memory.opted_out.add(address)
        return None if was_out else ANSWERS[STOP]
    if keyword == START:
        memory.opted_out.discard(address)
        return ANSWERS[START] if was_out else None
    return None if was_out else ANSWERS[HELP]
