"""The functions: triggers bound to one call each. No SDK, no environment, no client at import: one failure here would
lose every function of the app.
"""

import azure.functions as func

from shared import handlers, http
from shared.api import ui
from shared.api.responses import Response

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


def _http(given: Response) -> func.HttpResponse:
    return func.HttpResponse(given.body, status_code=given.status, mimetype=given.mimetype, headers=given.headers)


@app.function_name("start_recording")
@app.route(route="recordings", methods=["POST"])
def start_recording(req: func.HttpRequest) -> func.HttpResponse:
    """Starts a recording into the caller's container."""
    return _http(handlers.start_recording(req.get_body(), req.headers))


@app.function_name("list_recordings")
@app.route(route="recordings", methods=["GET"])
def list_recordings(req: func.HttpRequest) -> func.HttpResponse:
    """Lists recordings: the unfinished ones by risk, or what a filter asks for."""
    return _http(handlers.list_recordings(req.url))


@app.function_name("get_recording")
@app.route(route="recordings/{recordingId}", methods=["GET"])
def get_recording(req: func.HttpRequest) -> func.HttpResponse:
    """Returns everything known of one recording."""
    return _http(handlers.get_recording(req.route_params["recordingId"]))


@app.function_name("replay_recording")
@app.route(route="recordings/{recordingId}/replay", methods=["POST"])
def replay_recording(req: func.HttpRequest) -> func.HttpResponse:
    """Sets going now what can go on of a recording, or what was given up of it."""
    return _http(handlers.replay_recording(req.route_params["recordingId"], req.headers))


@app.function_name("stop_recording")
@app.route(route="recordings/{recordingId}/stop", methods=["POST"])
def stop_recording(req: func.HttpRequest) -> func.HttpResponse:
    """Ends a recording at ACS."""
    return _http(http.act_on_recording(req.route_params["recordingId"], "stop", req.headers))


@app.function_name("pause_recording")
@app.route(route="recordings/{recordingId}/pause", methods=["POST"])
def pause_recording(req: func.HttpRequest) -> func.HttpResponse:
    """Pauses a recording at ACS."""
    return _http(http.act_on_recording(req.route_params["recordingId"], "pause", req.headers))


@app.function_name("resume_recording")
@app.route(route="recordings/{recordingId}/resume", methods=["POST"])
def resume_recording(req: func.HttpRequest) -> func.HttpResponse:
    """Goes on with a paused recording at ACS."""
    return _http(http.act_on_recording(req.route_params["recordingId"], "resume", req.headers))


@app.function_name("list_rejected_events")
@app.route(route="rejected-events", methods=["GET"])
def list_rejected_events(req: func.HttpRequest) -> func.HttpResponse:
    """Lists the events that could not be used, newest first."""
    return _http(http.list_rejected_events(req.params))


@app.function_name("replay_rejected_event")
@app.route(route="rejected-events/{eventId}/replay", methods=["POST"])
def replay_rejected_event(req: func.HttpRequest) -> func.HttpResponse:
    """Takes such an event in again."""
    return _http(http.replay_rejected_event(req.route_params["eventId"], req.headers))


@app.function_name("health")
@app.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger's argument
    """Alive: nothing else is said, for it is anonymous."""
    return _http(http.health())


# Neither has data in it: what the page shows, it asks the API for, with a key.
@app.function_name("page")
@app.route(route="ui", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def page(req: func.HttpRequest) -> func.HttpResponse:
    """Serves the page for people."""
    return _http(ui.page(req.url))


@app.function_name("page_file")
@app.route(route="ui/{file}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def page_file(req: func.HttpRequest) -> func.HttpResponse:
    """Serves the page's scripts and styles."""
    return _http(ui.asset(req.route_params["file"]))


@app.function_name("verify_recording")
@app.route(route="recordings/{recordingId}/verify", methods=["POST"])
def verify_recording(req: func.HttpRequest) -> func.HttpResponse:
    """Looks whether every file of a recording is still there and still the same."""
    return _http(handlers.verify_recording(req.route_params["recordingId"]))


# `str`, not EventGridEvent: that one loses a CloudEvent's type, topic and time in the versions the hosts bring.
@app.function_name("recording_file_status_updated")
@app.event_grid_trigger(arg_name="event")
def recording_file_status_updated(event: str) -> None:
    """Records what ACS reports of a recording's files (and of calls that begin), and sets going what follows."""
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
def sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger's argument
    """Every five minutes: what is overdue becomes a queue message."""
    handlers.sweep()
