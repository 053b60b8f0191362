import pytest

from app.sandbox.respondio.workspace import Workspace

from .calls import NOW, message_event, text_message


@pytest.fixture
def workspace():
    workspace = Workspace()
    for contact_id in ("ada", "grace"):
        workspace.welcome(contact_id)
    return workspace


def write(workspace, contact_id="ada", words="Good day", m_ids=("gw-1",), error=None):
    message = workspace.write(contact_id, text_message(words))
    workspace.answered(message.sequence, list(m_ids), error)
    return workspace.message(message.sequence)


def test_contacts_are_listed_newest_first(workspace):
    workspace.receive("ada", "customer", message_event())
    assert [contact.contact_id for contact in workspace.contacts()] == ["ada", "grace"]
    write(workspace, "grace")
    assert [contact.contact_id for contact in workspace.contacts()] == ["grace", "ada"]


def test_a_repeat_does_not_move_a_contact_up(workspace):
    workspace.receive("ada", "customer", message_event())
    workspace.receive("grace", "customer", message_event("m2"))
    workspace.welcome("ada", {})
    workspace.receive("ada", "customer", message_event())
    assert workspace.contacts()[0].contact_id == "grace"


CHANGES = {
    "a message": lambda workspace: workspace.receive("ada", "customer", message_event("m9")),
    "the agent's message": write,
    "a profile": lambda workspace: workspace.welcome("ada", {"firstName": "Ada"}),
    "a status": lambda workspace: workspace.report("ada", "gw-0", "read", None),
    "reading": lambda workspace: workspace.read("ada"),
    "a reset": Workspace.reset,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_version_grows_with_every_change(workspace, change):
    workspace.receive("ada", "customer", message_event("m0"))
    write(workspace, m_ids=("gw-0",))
    before = workspace.version
    change(workspace)
    assert before < workspace.version


def test_the_version_stays_when_nothing_changes(workspace):
    before = workspace.version
    workspace.welcome("ada")
    workspace.read("ada")
    assert before == workspace.version


def test_a_message_has_the_time_of_its_event(workspace):
    workspace.receive("ada", "customer", message_event())
    assert [message.timestamp for message in workspace.messages("ada")] == [NOW]


def test_an_answer_gives_an_mid_and_no_status_yet(workspace):
    message = write(workspace)
    assert (message.m_id, message.status, message.error) == ("gw-1", "queued", None)


def test_a_refused_message_has_failed(workspace):
    message = write(workspace, m_ids=(), error="outside the window")
    assert (message.m_id, message.status, message.error) == (None, "failed", "outside the window")


def test_a_message_sent_twice_may_be_reported_under_both_mids(workspace):
    sequence = write(workspace, m_ids=("gw-1", "gw-2")).sequence
    workspace.report("ada", "gw-2", "sent", None)
    assert (workspace.message(sequence).m_id, workspace.message(sequence).status) == ("gw-1", "sent")


def test_an_mid_given_to_two_messages_reports_both(workspace):
    sequences = [write(workspace).sequence for _ in range(2)]
    workspace.report("ada", "gw-1", "read", None)
    assert [workspace.message(sequence).status for sequence in sequences] == ["read", "read"]


def test_an_answer_that_comes_after_a_reset_changes_nothing(workspace):
    late = workspace.write("ada", text_message())
    workspace.reset()
    workspace.welcome("ada")
    fresh = workspace.write("ada", text_message("new"))
    workspace.answered(late.sequence, ["gw-1"], None)
    assert workspace.message(fresh.sequence).m_id is None


def test_an_unknown_mid_is_judged_at_once_when_no_call_is_in_flight(workspace):
    assert not workspace.was_given("ada", "gw-1")
