#!/bin/sh
# After main.bicep: the roles at ACS and at the destination, in whichever resource group these are, and a wait until
# every role is listed. Running it again changes nothing.
set -eu

say() { printf 'postprovision: %s\n' "$*"; }
fail() { printf 'postprovision: %s\n' "$*" >&2; exit 1; }
part() { printf '%s' "$1" | cut -d/ -f"$2"; } # of a resource ID: 3 subscription, 5 resource group, 9 name

tries=${ROLE_TRIES:-60}          # ten minutes: as long as Azure says that a role may take
pause=${ROLE_PAUSE_SECONDS:-10}
settle=${ROLE_SETTLE_SECONDS:-60} # listed is not yet in force everywhere

say "roles on the container $DESTINATION_CONTAINER: ACS exports, the app verifies and rescues"
az deployment group create --subscription "$(part "$DESTINATION_ID" 3)" --resource-group "$(part "$DESTINATION_ID" 5)" \
  --name recorder-access-destination --template-file infra/app/access-destination.bicep \
  --parameters accountName="$(part "$DESTINATION_ID" 9)" containerName="$DESTINATION_CONTAINER" \
  acsPrincipalId="$ACS_PRINCIPAL_ID" appPrincipalId="$APP_PRINCIPAL_ID" -o none ||
  fail "the roles at the destination were not given: you need Microsoft.Authorization/roleAssignments/write there"

say "the app's role at ACS ($ACS_ROLE)"
az deployment group create --subscription "$(part "$ACS_ID" 3)" --resource-group "$(part "$ACS_ID" 5)" \
  --name recorder-access-acs --template-file infra/app/access-acs.bicep \
  --parameters acsName="$(part "$ACS_ID" 9)" appPrincipalId="$APP_PRINCIPAL_ID" access="$ACS_ROLE" -o none ||
  fail "the role at ACS was not given: you need Microsoft.Authorization/roleAssignments/write there"

# roles SCOPE PRINCIPAL: how many the principal has at that very scope.
roles() {
  az role assignment list --scope "$1" --assignee-object-id "$2" --query 'length(@)' -o tsv
}

waited=no
await() { # await WHAT SCOPE PRINCIPAL COUNT
  try=1
  while :; do
    count=$(roles "$2" "$3") || count=0
    if [ "${count:-0}" -ge "$4" ]; then
      say "$1: $count of $4"
      return 0
    fi
    if [ "$try" -ge "$tries" ]; then fail "$1: $count of $4 roles after $try looks. Run azd provision again"; fi
    try=$((try + 1))
    waited=yes
    sleep "$pause"
  done
}

container="$DESTINATION_ID/blobServices/default/containers/$DESTINATION_CONTAINER"
await "ACS at the destination" "$container" "$ACS_PRINCIPAL_ID" 1
await "the app at the destination" "$container" "$APP_PRINCIPAL_ID" 1
await "the app at its own account" "$APP_STORAGE_ID" "$APP_PRINCIPAL_ID" 3
if [ "$ACS_ROLE" != keyVaultReference ]; then
  await "the app at ACS" "$ACS_ID" "$APP_PRINCIPAL_ID" 1
fi
if [ "$waited" = yes ]; then
  say "waiting $settle seconds more: a role that is listed is not yet in force everywhere"
  sleep "$settle"
fi
say "done"
