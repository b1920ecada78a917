"""The functions: triggers bound to one call each. No SDK, no environment, no client at import: one failure here would
lose every function of the app.

The Functions host tries routes in the order of the functions' names, and takes the first that matches. So no two
functions match one request: a route of one verb takes GET and POST and answers the wrong one itself, and what takes
any path takes none of those two.
"""

from collections.abc import Callable

import azure.functions as func

from shared import handlers, http
from shared.api import ui
from shared.api.responses import Response

BOTH = ["GET", "POST"]

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


def _http(given: Response) -> func.HttpResponse:
    return func.HttpResponse(given.body, status_code=given.status, mimetype=given.mimetype, headers=given.headers)


def _only(verb: str, req: func.HttpRequest, answer: Callable[[], Response]) -> func.HttpResponse:
    return _http(answer() if req.method == verb else http.other_request(req.method, req.url))


@app.function_name("start_recording")
@app.route(route="recordings", methods=["POST"])
def start_recording(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Starts a recording into the caller's container."""
    with handlers.traced("start_recording", context):
        return _http(handlers.start_recording(req.get_body(), req.headers))


@app.function_name("list_recordings")
@app.route(route="recordings", methods=["GET"])
def list_recordings(req: func.HttpRequest) -> func.HttpResponse:
    """Lists recordings: the unfinished ones by risk, or what a filter asks for."""
    return _http(handlers.list_recordings(req.url))


@app.function_name("get_causes")
@app.route(route="causes", methods=BOTH)
def get_causes(req: func.HttpRequest) -> func.HttpResponse:
    """Groups the unfinished recordings by what holds them up."""
    return _only("GET", req, lambda: handlers.get_causes(req.url))


@app.function_name("get_statistics")
@app.route(route="statistics", methods=BOTH)
def get_statistics(req: func.HttpRequest) -> func.HttpResponse:
    """Counts what became of the recordings of the last days."""
    return _only("GET", req, lambda: handlers.get_statistics(req.url))


@app.function_name("get_recording")
@app.route(route="recordings/{recordingId}", methods=BOTH)
def get_recording(req: func.HttpRequest) -> func.HttpResponse:
    """Returns everything known of one recording."""
    return _only("GET", req, lambda: handlers.get_recording(req.route_params["recordingId"]))


@app.function_name("replay_recording")
@app.route(route="recordings/{recordingId}/replay", methods=BOTH)
def replay_recording(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Sets going now what can go on of a recording, or what was given up of it."""
    with handlers.traced("replay_recording", context):
        return _only("POST", req, lambda: handlers.replay_recording(req.route_params["recordingId"], req.headers))


@app.function_name("stop_recording")
@app.route(route="recordings/{recordingId}/stop", methods=BOTH)
def stop_recording(req: func.HttpRequest) -> func.HttpResponse:
    """Ends a recording at ACS."""
    return _only("POST", req, lambda: http.act_on_recording(req.route_params["recordingId"], "stop", req.headers))


@app.function_name("pause_recording")
@app.route(route="recordings/{recordingId}/pause", methods=BOTH)
def pause_recording(req: func.HttpRequest) -> func.HttpResponse:
    """Pauses a recording at ACS."""
    return _only("POST", req, lambda: http.act_on_recording(req.route_params["recordingId"], "pause", req.headers))


@app.function_name("resume_recording")
@app.route(route="recordings/{recordingId}/resume", methods=BOTH)
def resume_recording(req: func.HttpRequest) -> func.HttpResponse:
    """Goes on with a paused recording at ACS."""
    return _only("POST", req, lambda: http.act_on_recording(req.route_params["recordingId"], "resume", req.headers))


@app.function_name("list_rejected_events")
@app.route(route="rejected-events", methods=BOTH)
def list_rejected_events(req: func.HttpRequest) -> func.HttpResponse:
    """Lists the events that could not be used, newest first."""
    return _only("GET", req, lambda: http.list_rejected_events(req.url))


@app.function_name("replay_rejected_event")
@app.route(route="rejected-events/{eventId}/replay", methods=BOTH)
def replay_rejected_event(req: func.HttpRequest) -> func.HttpResponse:
    """Takes such an event in again."""
    return _only("POST", req, lambda: http.replay_rejected_event(req.route_params["eventId"], req.headers))


@app.function_name("health")
@app.route(route="health", methods=BOTH, auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:
    """Alive: nothing else is said, for it is anonymous."""
    return _only("GET", req, http.health)


@app.function_name("doctor")
@app.route(route="doctor", methods=BOTH)
def doctor(req: func.HttpRequest) -> func.HttpResponse:
    """What is well, what is not, and how to mend it."""
    return _only("GET", req, http.doctor)


@app.function_name("openapi")
@app.route(route="openapi.json", methods=BOTH)
def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """The document of this API."""
    return _only("GET", req, http.openapi)


@app.function_name("other_verbs")
@app.route(route="{*path}", methods=["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def other_verbs(req: func.HttpRequest) -> func.HttpResponse:
    """Says which verbs the path has."""
    return _http(http.other_request(req.method, req.url))


# Neither has data in it: what the page shows, it asks the API for, with a key.
@app.function_name("page")
@app.route(route="ui", methods=BOTH, auth_level=func.AuthLevel.ANONYMOUS)
def page(req: func.HttpRequest) -> func.HttpResponse:
    """Serves the page for people."""
    return _only("GET", req, lambda: ui.page(req.url))


@app.function_name("page_file")
@app.route(route="ui/{file}", methods=BOTH, auth_level=func.AuthLevel.ANONYMOUS)
def page_file(req: func.HttpRequest) -> func.HttpResponse:
    """Serves the page's scripts and styles."""
    return _only("GET", req, lambda: ui.asset(req.route_params["file"]))


@app.function_name("verify_recording")
@app.route(route="recordings/{recordingId}/verify", methods=BOTH)
def verify_recording(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Looks whether every file of a recording is still there and still the same."""
    with handlers.traced("verify_recording", context):
        return _only("POST", req, lambda: http.verify_recording(req.route_params["recordingId"], req.headers))


@app.function_name("replay_recordings")
@app.route(route="replays", methods=BOTH)
def replay_recordings(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Replays all recordings that the body selects; a dry run unless it says otherwise."""
    with handlers.traced("replay_recordings", context):
        return _only("POST", req, lambda: http.replay_recordings(req.get_body(), req.headers))


@app.function_name("verify_recordings")
@app.route(route="verifications", methods=BOTH)
def verify_recordings(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Verifies all recordings that the body selects; a dry run unless it says otherwise."""
    with handlers.traced("verify_recordings", context):
        return _only("POST", req, lambda: http.verify_recordings(req.get_body(), req.headers))


# `str`, not EventGridEvent: that one loses a CloudEvent's type, topic and time in the versions the hosts bring.
@app.function_name("recording_file_status_updated")
@app.event_grid_trigger(arg_name="event")
def recording_file_status_updated(event: str, context: func.Context) -> None:
    """Records what ACS reports of a recording's files (and of calls that begin), and sets going what follows."""
    with handlers.traced("recording_file_status_updated", context):
        handlers.recording_file_status_updated(event)


@app.function_name("rescue_chunk")
@app.queue_trigger(arg_name="message", queue_name="recording-rescues", connection="AzureWebJobsStorage")
async def rescue_chunk(message: func.QueueMessage, context: func.Context) -> None:
    """One attempt at one chunk."""
    await handlers.work(message.get_body(), message_id=message.id or "", context=context)


@app.function_name("rescue_urgent_chunk")
@app.queue_trigger(arg_name="message", queue_name="recording-rescues-urgent", connection="AzureWebJobsStorage")
async def rescue_urgent_chunk(message: func.QueueMessage, context: func.Context) -> None:
    """The same, for chunks whose window ends soon: they do not wait behind a storm of younger ones."""
    await handlers.work(message.get_body(), message_id=message.id or "", context=context)


@app.function_name("background_work")
@app.queue_trigger(arg_name="message", queue_name="recording-background", connection="AzureWebJobsStorage")
async def background_work(message: func.QueueMessage, context: func.Context) -> None:
    """What nothing waits for: digests, deliveries, alerts, cleaning up."""
    await handlers.work(message.get_body(), message_id=message.id or "", is_background=True, context=context)


@app.function_name("sweep")
@app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *", run_on_startup=False)
def sweep(timer: func.TimerRequest, context: func.Context) -> None:  # noqa: ARG001 - the trigger's argument
    """Every five minutes: what is overdue becomes a queue message."""
    with handlers.traced("sweep", context):
        handlers.sweep()
