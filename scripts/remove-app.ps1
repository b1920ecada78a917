# The twin of remove-app.sh, call by call: see there for what it does and why.
$ErrorActionPreference = 'Stop'
function Say([string]$Text) { Write-Output "remove-app: $Text" }
function Fail([string]$Text) { [Console]::Error.WriteLine("remove-app: $Text"); exit 1 }

if (-not $env:AZURE_RESOURCE_GROUP) {
    $values = azd env get-values
    if ($LASTEXITCODE -ne 0) { Fail 'no azd environment: azd env select NAME' }
    foreach ($line in $values) {
        $name, $value = $line -split '=', 2
        Set-Item -Path "env:$name" -Value $value.Trim('"')
    }
}

$subscription = "$($env:EVENT_TOPIC_ID)/eventSubscriptions/recording-file-status"
az resource show --ids $subscription -o none 2>$null
if ($LASTEXITCODE -eq 0) {
    Say $subscription
    az resource delete --ids $subscription -o none
    if ($LASTEXITCODE -ne 0) { Fail "still there: $subscription" }
}

$kinds = @(
    'Microsoft.EventGrid/systemTopics'
    'Microsoft.Web/sites'
    'Microsoft.Web/serverfarms'
    'Microsoft.Network/privateEndpoints'
    'Microsoft.Network/privateDnsZones/virtualNetworkLinks'
    'Microsoft.Network/privateDnsZones'
    'Microsoft.Network/virtualNetworks'
    'Microsoft.Insights/metricAlerts'
    'Microsoft.Insights/scheduledQueryRules'
    'Microsoft.Insights/actionGroups'
    'Microsoft.Insights/workbooks'
)
foreach ($kind in $kinds) {
    $ids = az resource list --resource-group $env:AZURE_RESOURCE_GROUP --resource-type $kind --query '[].id' -o tsv
    if ($LASTEXITCODE -ne 0) { Fail "cannot list $kind" }
    foreach ($id in $ids) {
        Say $id
        az resource delete --ids $id -o none
        if ($LASTEXITCODE -ne 0) { Fail "still there: $id. Run this again" }
    }
}
Say 'done: the storage accounts, the logs and the Communication Services resource are where they were'
