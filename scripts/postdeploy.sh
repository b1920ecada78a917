#!/bin/sh
# After the code is there: wait until Azure lists the function, subscribe it, and prove that app and webhook answer.
# Running it again changes nothing.
set -eu

say() { printf 'postdeploy: %s\n' "$*"; }
fail() { printf 'postdeploy: %s\n' "$*" >&2; exit 1; }
part() { printf '%s' "$1" | cut -d/ -f"$2"; } # of a resource ID: 3 subscription, 5 resource group, 9 name

function=recording_file_status_updated
tries=${PROOF_TRIES:-60}
pause=${PROOF_PAUSE_SECONDS:-10}

try=1
until az functionapp function list --resource-group "$AZURE_RESOURCE_GROUP" --name "$APP_NAME" \
  --query '[].name' -o tsv | grep -q "/$function\$"; do
  if [ "$try" -ge "$tries" ]; then fail "$APP_NAME does not list $function after $try looks: see its log stream"; fi
  try=$((try + 1))
  sleep "$pause"
done
say "$APP_NAME lists $function"

az deployment group create --subscription "$(part "$EVENT_TOPIC_ID" 3)" --resource-group "$(part "$EVENT_TOPIC_ID" 5)" \
  --name recorder-subscription --template-file infra/app/subscription.bicep \
  --parameters topicName="$(part "$EVENT_TOPIC_ID" 9)" appId="$APP_ID" storageId="$APP_STORAGE_ID" \
  deadLetterContainer="$DEAD_LETTER_CONTAINER" -o none || fail "the event subscription was not made"
say "the events of ACS go to $function"

# The keys go to curl by its standard input: an argument can be read by every process of the machine.
key=$(az functionapp keys list --resource-group "$AZURE_RESOURCE_GROUP" --name "$APP_NAME" \
  --query functionKeys.default -o tsv) || fail "cannot read the app's keys"
webhook=$(az functionapp keys list --resource-group "$AZURE_RESOURCE_GROUP" --name "$APP_NAME" \
  --query systemKeys.eventgrid_extension -o tsv) || fail "cannot read the app's keys"

ask() { # the status of a GET
  printf 'header = "x-functions-key: %s"\n' "$key" |
    curl -sS -K - -o /dev/null -w '%{http_code}' "$APP_URL$1" || true
}

# A call that never was. The app keeps the pair of ids for a day and does nothing with it.
event='[{"id":"recorder-deploy-proof","eventType":"Microsoft.Communication.CallStarted","subject":"call/startedBy/recorder-deploy-proof","eventTime":"2026-01-01T00:00:00Z","dataVersion":"1.0","metadataVersion":"1","topic":"/","data":{"serverCallId":"recorder-deploy-proof","correlationId":"recorder-deploy-proof"}}]'
deliver() { # the status of a delivery to the function, by the way that Event Grid takes
  printf 'header = "x-functions-key: %s"\n' "$webhook" |
    curl -sS -K - -o /dev/null -w '%{http_code}' -X POST -H 'Content-Type: application/json' \
      -H 'aeg-event-type: Notification' --data "$event" "$APP_URL/runtime/webhooks/EventGrid?functionName=$function" || true
}

await() { # await WHAT STATUS COMMAND...
  what=$1
  wanted=$2
  shift 2
  try=1
  while :; do
    status=$("$@")
    if [ "$status" = "$wanted" ]; then
      say "$what: $status"
      return 0
    fi
    if [ "$try" -ge "$tries" ]; then fail "$what: $status, not $wanted, after $try tries. docs/operations.md, alerts"; fi
    try=$((try + 1))
    sleep "$pause"
  done
}

await "settings, ledger and identity (list of recordings)" 200 ask "/api/recordings?limit=1"
await "a synthetic event, through the webhook into the function" 202 deliver

report() { # what the app's doctor says; its status comes first
  printf 'header = "x-functions-key: %s"\n' "$key" | curl -sS -K - "$APP_URL/api/doctor" || true
}
not_ok() { # a line for each check that warns or fails
  printf '%s\n' "$found" | awk '{ gsub(/\{"name"/, "\n&"); print }' | grep -E '^\{"name".*"status": "(warn|fail)"' || true
}
try=1
while :; do
  found=$(report)
  case $found in
    '{"status": "ok"'* | '{"status": "warn"'*) break ;;
  esac
  if [ "$try" -ge "$tries" ]; then
    not_ok >&2
    fail "the doctor finds a fault after $try looks: each line above has its fix"
  fi
  try=$((try + 1))
  sleep "$pause"
done
not_ok
say "the doctor finds no fault (make doctor, docs/operations.md)"
say "done. First recording: README.md, Deploy"
