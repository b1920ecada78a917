# The twin of preprovision.sh, call by call: see there for what it does and why.
$ErrorActionPreference = 'Stop'
function Say([string]$Text) { Write-Output "preprovision: $Text" }
function Fail([string]$Text) { [Console]::Error.WriteLine("preprovision: $Text"); exit 1 }

function Part([string]$Id, [int]$Index) { ($Id -split '/')[$Index - 1] } # 3 subscription, 5 resource group, 9 name

$acs = $env:ACS_RESOURCE_ID
if (-not $acs) {
    Say 'no ACS_RESOURCE_ID: a Communication Services resource is made'
    exit 0
}

$identity = az resource show --ids $acs --query identity.type -o tsv
if ($LASTEXITCODE -ne 0) { Fail "cannot read ${acs}: is ACS_RESOURCE_ID right, and are you logged in (az login)?" }
if ("$identity" -like '*SystemAssigned*') {
    Say 'the ACS resource has its identity'
} else {
    $wanted = 'SystemAssigned'
    if ("$identity" -eq 'UserAssigned') { $wanted = 'SystemAssigned,UserAssigned' }
    Say 'giving the ACS resource an identity: it is the one that exports'
    # A body in a file: Windows takes the quotes out of an argument.
    $body = New-TemporaryFile
    Set-Content -Path $body -Value "{`"identity`":{`"type`":`"$wanted`"}}"
    az rest --method patch --url "${acs}?api-version=2023-04-01" --body "@$body" -o none
    $code = $LASTEXITCODE
    Remove-Item -Path $body
    if ($code -ne 0) { Fail 'the ACS resource got no identity' }
}

# The topic that this project makes itself is none of the existing ones: main.bicep goes on with it.
$group = $env:AZURE_RESOURCE_GROUP
if (-not $group) { $group = "rg-$($env:AZURE_ENV_NAME)" }
$own = "/resourceGroups/$group/"
$found = ''
$topics = az eventgrid system-topic list --query '[].[source, id]' -o tsv
if ($LASTEXITCODE -ne 0) { Fail 'cannot list the system topics' }
foreach ($line in $topics) {
    $source, $id = $line -split "`t"
    if ($source -eq $acs -and $id -notlike "*$own*") { $found = $id }
}

if (-not $found) {
    azd env set EXISTING_EVENT_TOPIC_ID ''
    if ($LASTEXITCODE -ne 0) { Fail 'azd env set failed' }
    Say 'the ACS resource has no system topic of others: one is made'
    exit 0
}
$kind = az resource show --ids $found --query identity.type -o tsv
if ($LASTEXITCODE -ne 0) { Fail "cannot read $found" }
if ("$kind" -notlike '*SystemAssigned*') {
    Say 'giving the system topic an identity: dead letters are written with it'
    az eventgrid system-topic update --subscription (Part $found 3) --resource-group (Part $found 5) `
        --name (Part $found 9) --mi-system-assigned -o none
    if ($LASTEXITCODE -ne 0) { Fail 'the topic got no identity' }
}
azd env set EXISTING_EVENT_TOPIC_ID $found
if ($LASTEXITCODE -ne 0) { Fail 'azd env set failed' }
Say "the subscription goes to the topic that is there: $found"
