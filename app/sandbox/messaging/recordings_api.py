"""Recordings of calls over REST. There are no calls here: every call sid stands for one that is going on."""

import re

from app.sandbox.checks import Json
from app.sandbox.messaging.api import Api
from app.sandbox.messaging.form import refuse
from app.sandbox.messaging.records import Recording
from app.sandbox.twilio.form import params, web_address, word, words
from app.sandbox.twilio.records import Form, new_sid, now, rfc2822
from app.sandbox.twilio.rest import not_found, picked, read_form

NOT_IN_PROGRESS = 21220
RUNNING = ("in-progress", "paused")
CREATE = (
    params(word("mono", "dual"), "RecordingChannels")
    | params(word("inbound", "outbound", "both"), "RecordingTrack")
    | params(web_address, "RecordingStatusCallback")
    | params(word("get", "post", any_case=True), "RecordingStatusCallbackMethod")
    | params(words(), "RecordingStatusCallbackEvent", many=True)
    | params(word("trim-silence", "do-not-trim"), "Trim")
)
STATUS = word("in-progress", "paused", "stopped")
UPDATE = params(STATUS, "Status", required=True) | params(word("skip", "silence"), "PauseBehavior")


class Recordings(Api):
    paths = ("/Calls/<call_sid>/Recordings",)
    key = "recordings"

    def owner(self, call_sid: str) -> str:
        if not re.fullmatch(r"CA[0-9a-f]{32}", call_sid):
            raise not_found()
        return call_sid

    def find(self, call_sid: str, name: str) -> Recording | None:
        return next((one for one in self._of(call_sid) if one.sid == name), None)

    def all(self, call_sid: str, _: Form) -> list[Recording]:
        return self._of(call_sid)[::-1]

    def create(self, call_sid: str) -> Recording:
        form = read_form(CREATE)
        if any(recording.status in RUNNING for recording in self._of(call_sid)):
            raise refuse(NOT_IN_PROGRESS, "Requested resource is not eligible for recording")
        recording = Recording(
            sid=new_sid("RE"),
            call_sid=call_sid,
            channels=2 if form.get("RecordingChannels") == "dual" else 1,
            track=form.get("RecordingTrack", "both"),
        )
        return self.memory.put(self.memory.recordings, recording)

    def update(self, recording: Recording) -> Recording:
        """Pauses it, takes it up again, or ends it."""
        status = read_form(UPDATE)["Status"]
        if recording.status not in RUNNING:
            raise refuse(NOT_IN_PROGRESS, f"The recording is {recording.status}")
        changes = {"status": "completed", "ended": now()} if status == "stopped" else {"status": status}
        return self.memory.change(self.memory.recordings, recording, **changes)

    def _of(self, call_sid: str) -> list[Recording]:
        return [recording for recording in self.memory.recordings.values() if recording.call_sid == call_sid]

    def show(self, recording: Recording) -> Json:
        length = (recording.ended - recording.created).total_seconds() if recording.ended else None
        return {
            **self.stamp(recording, f"Calls/{recording.call_sid}/Recordings"),
            **picked(recording, "call_sid channels track status"),
            "api_version": "2010-04-01",
            "conference_sid": None,
            "source": "StartCallRecordingAPI",
            "duration": "-1" if length is None else str(int(length)),
            "error_code": None,
            "encryption_details": None,
            "price": None,
            "price_unit": "USD",
            "start_time": rfc2822(recording.created),
        }
