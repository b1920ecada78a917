# The twin of predown.sh, call by call: see there for what it does and why.
$ErrorActionPreference = 'Stop'
function Say([string]$Text) { Write-Output "predown: $Text" }
function Fail([string]$Text) { [Console]::Error.WriteLine("predown: $Text"); exit 1 }

$group = $env:AZURE_RESOURCE_GROUP
if ($env:DELETE_RECORDINGS -ne 'yes' -or -not $group -or $env:DELETE_RECORDINGS_OF -ne $group) {
    Fail "stopped: azd down deletes $group with the fallback and each recording in it.
  To remove the app and keep every recording:  pwsh scripts/remove-app.ps1
  To delete the recordings too, say so twice, then run azd down again:
    azd env set DELETE_RECORDINGS yes
    azd env set DELETE_RECORDINGS_OF $group"
}

Say "told twice: taking the locks off the storage accounts of $group"
$locks = az lock list --resource-group $group --query "[?name=='recordings'].id" -o tsv
if ($LASTEXITCODE -ne 0) { Fail 'cannot list the locks' }
foreach ($lock in $locks) {
    az lock delete --ids $lock
    if ($LASTEXITCODE -ne 0) { Fail "the lock is still there: $lock" }
}

# The roles that the hooks gave outside of the resource group would stay, for an identity that is gone.
foreach ($scope in "$($env:DESTINATION_ID)/blobServices/default/containers/$($env:DESTINATION_CONTAINER)", $env:ACS_ID) {
    $ids = az role assignment list --scope $scope --assignee-object-id $env:APP_PRINCIPAL_ID --query '[].id' -o tsv
    foreach ($id in $ids) {
        Say "taking back a role: $id"
        az role assignment delete --ids $id
        if ($LASTEXITCODE -ne 0) { Fail "the role is still there: $id" }
    }
}
