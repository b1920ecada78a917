#!/bin/sh
# Removes what `azd up` made but for the storage accounts and the Communication Services resource: no recording goes.
# What is gone already is passed over, so a run that was broken off is gone on with.
set -eu

say() { printf 'remove-app: %s\n' "$*"; }
fail() { printf 'remove-app: %s\n' "$*" >&2; exit 1; }

if [ -z "${AZURE_RESOURCE_GROUP:-}" ]; then
  values=$(azd env get-values) || fail "no azd environment: azd env select NAME"
  eval "$(printf '%s\n' "$values" | sed 's/^/export /')"
fi

# The subscription first, while its topic is there: what ACS sends later is not lost in an app that is half gone.
subscription="$EVENT_TOPIC_ID/eventSubscriptions/recording-file-status"
if az resource show --ids "$subscription" -o none 2>/dev/null; then
  say "$subscription"
  az resource delete --ids "$subscription" -o none || fail "still there: $subscription"
fi

# In this order: what refers to another goes before it. Microsoft.Storage and Microsoft.Communication are not here.
for kind in \
  Microsoft.EventGrid/systemTopics \
  Microsoft.Web/sites \
  Microsoft.Web/serverfarms \
  Microsoft.Network/privateEndpoints \
  Microsoft.Network/privateDnsZones/virtualNetworkLinks \
  Microsoft.Network/privateDnsZones \
  Microsoft.Network/virtualNetworks \
  Microsoft.Insights/metricAlerts \
  Microsoft.Insights/scheduledQueryRules \
  Microsoft.Insights/actionGroups \
  Microsoft.Insights/workbooks; do
  ids=$(az resource list --resource-group "$AZURE_RESOURCE_GROUP" --resource-type "$kind" --query '[].id' -o tsv) ||
    fail "cannot list $kind"
  for id in $ids; do
    say "$id"
    az resource delete --ids "$id" -o none || fail "still there: $id. Run this again"
  done
done
say "done: the storage accounts, the logs and the Communication Services resource are where they were"
