# The twin of postprovision.sh, call by call: see there for what it does and why.
$ErrorActionPreference = 'Stop'
function Say([string]$Text) { Write-Output "postprovision: $Text" }
function Fail([string]$Text) { [Console]::Error.WriteLine("postprovision: $Text"); exit 1 }
function Part([string]$Id, [int]$Index) { ($Id -split '/')[$Index - 1] } # 3 subscription, 5 resource group, 9 name

$tries = 60
if ($env:ROLE_TRIES) { $tries = [int]$env:ROLE_TRIES }
$pause = 10
if ($env:ROLE_PAUSE_SECONDS) { $pause = [int]$env:ROLE_PAUSE_SECONDS }
$settle = 60
if ($env:ROLE_SETTLE_SECONDS) { $settle = [int]$env:ROLE_SETTLE_SECONDS }

Say "roles on the container $($env:DESTINATION_CONTAINER): ACS exports, the app verifies and rescues"
az deployment group create --subscription (Part $env:DESTINATION_ID 3) --resource-group (Part $env:DESTINATION_ID 5) `
    --name recorder-access-destination --template-file infra/app/access-destination.bicep `
    --parameters "accountName=$(Part $env:DESTINATION_ID 9)" "containerName=$($env:DESTINATION_CONTAINER)" `
    "acsPrincipalId=$($env:ACS_PRINCIPAL_ID)" "appPrincipalId=$($env:APP_PRINCIPAL_ID)" -o none
if ($LASTEXITCODE -ne 0) {
    Fail 'the roles at the destination were not given: you need Microsoft.Authorization/roleAssignments/write there'
}

Say "the app's role at ACS ($($env:ACS_ROLE))"
az deployment group create --subscription (Part $env:ACS_ID 3) --resource-group (Part $env:ACS_ID 5) `
    --name recorder-access-acs --template-file infra/app/access-acs.bicep `
    --parameters "acsName=$(Part $env:ACS_ID 9)" "appPrincipalId=$($env:APP_PRINCIPAL_ID)" "access=$($env:ACS_ROLE)" -o none
if ($LASTEXITCODE -ne 0) {
    Fail 'the role at ACS was not given: you need Microsoft.Authorization/roleAssignments/write there'
}

# How many roles the principal has at that very scope.
function Roles([string]$Scope, [string]$Principal) {
    $count = az role assignment list --scope $Scope --assignee-object-id $Principal --query 'length(@)' -o tsv
    if ($LASTEXITCODE -ne 0 -or -not $count) { return 0 }
    return [int]$count
}

$script:waited = $false
function Await([string]$What, [string]$Scope, [string]$Principal, [int]$Wanted) {
    $try = 1
    while ($true) {
        $count = Roles $Scope $Principal
        if ($count -ge $Wanted) {
            Say "${What}: $count of $Wanted"
            return
        }
        if ($try -ge $tries) { Fail "${What}: $count of $Wanted roles after $try looks. Run azd provision again" }
        $try += 1
        $script:waited = $true
        Start-Sleep -Seconds $pause
    }
}

$container = "$($env:DESTINATION_ID)/blobServices/default/containers/$($env:DESTINATION_CONTAINER)"
Await 'ACS at the destination' $container $env:ACS_PRINCIPAL_ID 1
Await 'the app at the destination' $container $env:APP_PRINCIPAL_ID 1
Await 'the app at its own account' $env:APP_STORAGE_ID $env:APP_PRINCIPAL_ID 3
if ($env:ACS_ROLE -ne 'keyVaultReference') {
    Await 'the app at ACS' $env:ACS_ID $env:APP_PRINCIPAL_ID 1
}
if ($script:waited) {
    Say "waiting $settle seconds more: a role that is listed is not yet in force everywhere"
    Start-Sleep -Seconds $settle
}
Say 'done'
