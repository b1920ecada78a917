#!/bin/sh
# Before `azd down`, which deletes the resource group with all that is in it: recordings are kept unless it was told
# twice that they may go. scripts/remove-app.sh removes the app and leaves every recording.
set -eu

say() { printf 'predown: %s\n' "$*"; }
fail() { printf 'predown: %s\n' "$*" >&2; exit 1; }

if [ "${DELETE_RECORDINGS:-}" != yes ] || [ "${DELETE_RECORDINGS_OF:-}" != "${AZURE_RESOURCE_GROUP:-}" ] ||
  [ -z "${AZURE_RESOURCE_GROUP:-}" ]; then
  fail "stopped: azd down deletes ${AZURE_RESOURCE_GROUP:-the resource group} with the fallback and each recording in it.
  To remove the app and keep every recording:  sh scripts/remove-app.sh
  To delete the recordings too, say so twice, then run azd down again:
    azd env set DELETE_RECORDINGS yes
    azd env set DELETE_RECORDINGS_OF ${AZURE_RESOURCE_GROUP:-RESOURCE_GROUP}"
fi

say "told twice: taking the locks off the storage accounts of $AZURE_RESOURCE_GROUP"
locks=$(az lock list --resource-group "$AZURE_RESOURCE_GROUP" --query "[?name=='recordings'].id" -o tsv) ||
  fail "cannot list the locks"
for lock in $locks; do
  az lock delete --ids "$lock" || fail "the lock is still there: $lock"
done

# The roles that the hooks gave outside of the resource group would stay, for an identity that is gone.
for scope in "$DESTINATION_ID/blobServices/default/containers/$DESTINATION_CONTAINER" "$ACS_ID"; do
  ids=$(az role assignment list --scope "$scope" --assignee-object-id "$APP_PRINCIPAL_ID" --query '[].id' -o tsv) || ids=
  for id in $ids; do
    say "taking back a role: $id"
    az role assignment delete --ids "$id" || fail "the role is still there: $id"
  done
done
