# The twin of postdeploy.sh, call by call: see there for what it does and why.
$ErrorActionPreference = 'Stop'
function Say([string]$Text) { Write-Output "postdeploy: $Text" }
function Fail([string]$Text) { [Console]::Error.WriteLine("postdeploy: $Text"); exit 1 }
function Part([string]$Id, [int]$Index) { ($Id -split '/')[$Index - 1] } # 3 subscription, 5 resource group, 9 name

$function = 'recording_file_status_updated'
$tries = 60
if ($env:PROOF_TRIES) { $tries = [int]$env:PROOF_TRIES }
$pause = 10
if ($env:PROOF_PAUSE_SECONDS) { $pause = [int]$env:PROOF_PAUSE_SECONDS }

$try = 1
while ($true) {
    $names = az functionapp function list --resource-group $env:AZURE_RESOURCE_GROUP --name $env:APP_NAME --query '[].name' -o tsv
    if ($names -match "/$function$") { break }
    if ($try -ge $tries) { Fail "$($env:APP_NAME) does not list $function after $try looks: see its log stream" }
    $try += 1
    Start-Sleep -Seconds $pause
}
Say "$($env:APP_NAME) lists $function"

az deployment group create --subscription (Part $env:EVENT_TOPIC_ID 3) --resource-group (Part $env:EVENT_TOPIC_ID 5) `
    --name recorder-subscription --template-file infra/app/subscription.bicep `
    --parameters "topicName=$(Part $env:EVENT_TOPIC_ID 9)" "appId=$($env:APP_ID)" "storageId=$($env:APP_STORAGE_ID)" `
    "deadLetterContainer=$($env:DEAD_LETTER_CONTAINER)" -o none
if ($LASTEXITCODE -ne 0) { Fail 'the event subscription was not made' }
Say "the events of ACS go to $function"

$key = az functionapp keys list --resource-group $env:AZURE_RESOURCE_GROUP --name $env:APP_NAME --query functionKeys.default -o tsv
if ($LASTEXITCODE -ne 0) { Fail "cannot read the app's keys" }
$webhook = az functionapp keys list --resource-group $env:AZURE_RESOURCE_GROUP --name $env:APP_NAME --query systemKeys.eventgrid_extension -o tsv
if ($LASTEXITCODE -ne 0) { Fail "cannot read the app's keys" }

function Ask([string]$Path) { # the status of a GET
    try {
        return [int](Invoke-WebRequest -Uri "$($env:APP_URL)$Path" -Headers @{ 'x-functions-key' = $key } -SkipHttpErrorCheck).StatusCode
    } catch { return 0 }
}

# A call that never was. The app keeps the pair of ids for a day and does nothing with it.
$proof = '[{"id":"recorder-deploy-proof","eventType":"Microsoft.Communication.CallStarted","subject":"call/startedBy/recorder-deploy-proof","eventTime":"2026-01-01T00:00:00Z","dataVersion":"1.0","metadataVersion":"1","topic":"/","data":{"serverCallId":"recorder-deploy-proof","correlationId":"recorder-deploy-proof"}}]'
function Deliver { # the status of a delivery to the function, by the way that Event Grid takes
    $headers = @{ 'x-functions-key' = $webhook; 'aeg-event-type' = 'Notification' }
    try {
        return [int](Invoke-WebRequest -Method Post -Uri "$($env:APP_URL)/runtime/webhooks/EventGrid?functionName=$function" `
            -Headers $headers -ContentType 'application/json' -Body $proof -SkipHttpErrorCheck).StatusCode
    } catch { return 0 }
}

function Await([string]$What, [int]$Wanted, [scriptblock]$Command) {
    $try = 1
    while ($true) {
        $status = & $Command
        if ($status -eq $Wanted) {
            Say "${What}: $status"
            return
        }
        if ($try -ge $tries) { Fail "${What}: $status, not $Wanted, after $try tries. docs/operations.md, alerts" }
        $try += 1
        Start-Sleep -Seconds $pause
    }
}

Await 'settings, ledger and identity (list of recordings)' 200 { Ask '/api/recordings?limit=1' }
Await 'a synthetic event, through the webhook into the function' 202 { Deliver }

function Report { # what the app's doctor says
    try {
        return (Invoke-WebRequest -Uri "$($env:APP_URL)/api/doctor" -Headers @{ 'x-functions-key' = $key }).Content | ConvertFrom-Json
    } catch { return $null }
}
function ShowFaults($Report) { # a line for each check that warns or fails
    foreach ($check in $Report.checks) {
        if ($check.status -ne 'ok') { Say "$($check.status): $($check.name): $($check.message). $($check.fix)" }
    }
}
$try = 1
while ($true) {
    $found = Report
    if ($found -and $found.status -ne 'fail') { break }
    if ($try -ge $tries) {
        ShowFaults $found
        Fail "the doctor finds a fault after $try looks: each line above has its fix"
    }
    $try += 1
    Start-Sleep -Seconds $pause
}
ShowFaults $found
Say 'the doctor finds no fault (make doctor, docs/operations.md)'
Say 'done. First recording: README.md, Deploy'
