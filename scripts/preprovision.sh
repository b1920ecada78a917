#!/bin/sh
# Before anything is made: an existing ACS resource (ACS_RESOURCE_ID) gets a system-assigned identity, and the system
# topic that it may have already is found, since a source can have only one. Running it again changes nothing.
set -eu

say() { printf 'preprovision: %s\n' "$*"; }
fail() { printf 'preprovision: %s\n' "$*" >&2; exit 1; }
part() { printf '%s' "$1" | cut -d/ -f"$2"; } # of a resource ID: 3 subscription, 5 resource group, 9 name
lower() { printf '%s' "$1" | tr '[:upper:]' '[:lower:]'; }

acs=${ACS_RESOURCE_ID:-}
if [ -z "$acs" ]; then
  say "no ACS_RESOURCE_ID: a Communication Services resource is made"
  exit 0
fi

identity=$(az resource show --ids "$acs" --query identity.type -o tsv) ||
  fail "cannot read $acs: is ACS_RESOURCE_ID right, and are you logged in (az login)?"
case $identity in
  *SystemAssigned*)
    say "the ACS resource has its identity"
    ;;
  *)
    wanted=SystemAssigned
    if [ "$identity" = UserAssigned ]; then wanted=SystemAssigned,UserAssigned; fi
    say "giving the ACS resource an identity: it is the one that exports"
    az rest --method patch --url "$acs?api-version=2023-04-01" \
      --body "{\"identity\":{\"type\":\"$wanted\"}}" -o none || fail "the ACS resource got no identity"
    ;;
esac

# The topic that this project makes itself is none of the existing ones: main.bicep goes on with it.
own=$(lower "/resourceGroups/${AZURE_RESOURCE_GROUP:-rg-$AZURE_ENV_NAME}/")
found=
topics=$(az eventgrid system-topic list --query '[].[source, id]' -o tsv) || fail "cannot list the system topics"
tab=$(printf '\t')
while IFS=$tab read -r source id; do
  if [ "$(lower "$source")" = "$(lower "$acs")" ]; then
    case $(lower "$id") in
      *"$own"*) ;;
      *) found=$id ;;
    esac
  fi
done <<EOF
$topics
EOF

if [ -z "$found" ]; then
  azd env set EXISTING_EVENT_TOPIC_ID "" || fail "azd env set failed"
  say "the ACS resource has no system topic of others: one is made"
  exit 0
fi
kind=$(az resource show --ids "$found" --query identity.type -o tsv) || fail "cannot read $found"
case $kind in
  *SystemAssigned*) ;;
  *)
    say "giving the system topic an identity: dead letters are written with it"
    az eventgrid system-topic update --subscription "$(part "$found" 3)" --resource-group "$(part "$found" 5)" \
      --name "$(part "$found" 9)" --mi-system-assigned -o none || fail "the topic got no identity"
    ;;
esac
azd env set EXISTING_EVENT_TOPIC_ID "$found" || fail "azd env set failed"
say "the subscription goes to the topic that is there: $found"
