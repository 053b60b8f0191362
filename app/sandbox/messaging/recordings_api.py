"""Recordings of calls over REST. There are no calls here: every call sid stands for one that is going on."""

import re

from flask import jsonify

from app.sandbox.checks import Json
from app.sandbox.flex.form import Param, web_address, word, words
from app.sandbox.flex.records import new_sid, now
from app.sandbox.flex.rest import Answer, created, not_found, read_form, read_query
from app.sandbox.messaging.form import refuse
from app.sandbox.messaging.memory import Memory
from app.sandbox.messaging.records import Recording, rfc2822
from app.sandbox.messaging.rest import AccountRoutes, page, uri
from app.sandbox.settings import SandboxSettings

NOT_IN_PROGRESS = 21220
RUNNING = ("in-progress", "paused")
ONE = "/Calls/<call_sid>/Recordings/<recording_sid>.json"
CREATE = {
    "RecordingChannels": Param(word("mono", "dual")),
    "RecordingTrack": Param(word("inbound", "outbound", "both")),
    "RecordingStatusCallback": Param(web_address),
    "RecordingStatusCallbackMethod": Param(word("get", "post", any_case=True)),
    "RecordingStatusCallbackEvent": Param(words(), many=True),
    "Trim": Param(word("trim-silence", "do-not-trim")),
}


class RecordingsApi:
    def __init__(self, settings: SandboxSettings, memory: Memory) -> None:
        self._settings = settings
        self._memory = memory

    def register(self, routes: AccountRoutes) -> None:
        routes.add("POST", "/Calls/<call_sid>/Recordings.json", self.create)
        routes.add("GET", "/Calls/<call_sid>/Recordings.json", self.all)
        routes.add("GET", ONE, self.fetch)
        routes.add("POST", ONE, self.update)

    def create(self, call_sid: str) -> Answer:
        form = read_form(CREATE)
        if any(recording.status in RUNNING for recording in self._of(call_sid)):
            raise refuse(NOT_IN_PROGRESS, "Requested resource is not eligible for recording")
        recording = Recording(
            sid=new_sid("RE"),
            call_sid=call_sid,
            channels=2 if form.get("RecordingChannels") == "dual" else 1,
            track=form.get("RecordingTrack", "both"),
        )
        return created(self._show(self._memory.put(self._memory.recordings, recording)))

    def all(self, call_sid: str) -> Answer:
        return page("recordings", self._of(call_sid)[::-1], self._show, read_query({}))

    def fetch(self, call_sid: str, recording_sid: str) -> Answer:
        return jsonify(self._show(self._find(call_sid, recording_sid)))

    def update(self, call_sid: str, recording_sid: str) -> Answer:
        """Pauses it, takes it up again, or ends it."""
        recording = self._find(call_sid, recording_sid)
        params = {
            "Status": Param(word("in-progress", "paused", "stopped"), required=True),
            "PauseBehavior": Param(word("skip", "silence")),
        }
        status = read_form(params)["Status"]
        if recording.status not in RUNNING:
            raise refuse(NOT_IN_PROGRESS, f"The recording is {recording.status}")
        changes = {"status": "completed", "ended": now()} if status == "stopped" else {"status": status}
        return jsonify(self._show(self._memory.change(self._memory.recordings, recording, **changes)))

    def _of(self, call_sid: str) -> list[Recording]:
        if not re.fullmatch(r"CA[0-9a-f]{32}", call_sid):
            raise not_found()
        return [recording for recording in self._memory.recordings.values() if recording.call_sid == call_sid]

    def _find(self, call_sid: str, sid: str) -> Recording:
        found = next((recording for recording in self._of(call_sid) if recording.sid == sid), None)
        if found is None:
            raise not_found()
        return found

    def _show(self, recording: Recording) -> Json:
        account = self._settings.twilio_account_sid
        length = (recording.ended - recording.created).total_seconds() if recording.ended else None
        return {
            "sid": recording.sid,
            "account_sid": account,
            "api_version": "2010-04-01",
            "call_sid": recording.call_sid,
            "conference_sid": None,
            "channels": recording.channels,
            "track": recording.track,
            "source": "StartCallRecordingAPI",
            "status": recording.status,
            "duration": "-1" if length is None else str(int(length)),
            "error_code": None,
            "encryption_details": None,
            "price": None,
            "price_unit": "USD",
            "start_time": rfc2822(recording.created),
            "date_created": rfc2822(recording.created),
            "date_updated": rfc2822(recording.updated),
            "uri": uri(account, f"Calls/{recording.call_sid}/Recordings/{recording.sid}.json"),
        }
