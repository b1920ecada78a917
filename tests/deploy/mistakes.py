"""Deliberate mistakes by file: what each is, what is changed, and the check that must see it."""

MISTAKES = {
    "infra/app/acs.bicep": [
        (
            "a brace is left open",
            "    dataLocation: dataLocation\n  }",
            "    dataLocation: dataLocation",
            "language.syntax",
        ),
        ("a parameter without a description", "@description('Tags.')\n", "", "language.documentation"),
        ("a key is read", "= acs.properties.hostName", "= acs.listKeys().primaryKey", "access.keys"),
    ],
    "infra/app/recorder.bicep": [
        ("a name is misspelt", "serverFarmId: plan.id", "serverFarmId: plam.id", "language.names"),
        (
            "the package is fetched with a key",
            "type: 'SystemAssignedIdentity'",
            "type: 'StorageAccountConnectionString'",
            "access.identities",
        ),
        ("a setting is misspelt", "RECORDING_CONTAINERS_ALLOWED:", "RECORDING_CONTAINER_ALLOWED:", "app.settings"),
        (
            "FUNCTIONS_WORKER_RUNTIME is set",
            "  AzureWebJobsStorage__credential",
            "  FUNCTIONS_WORKER_RUNTIME: 'python'\n  AzureWebJobsStorage__credential",
            "app.settings",
        ),
        (
            "a setting has a value that the code refuses",
            "'https://${acsHostName}'",
            "'http://${acsHostName}'",
            "app.usable_settings",
        ),
        (
            "more memory for blocks than an instance has",
            "param rescueMemory int = 128",
            "param rescueMemory int = 1024",
            "app.memory",
        ),
    ],
    "infra/app/events.bicep": [
        (
            "an API version of its own",
            "systemTopics@2022-06-15' = {",
            "systemTopics@2021-12-01' = {",
            "language.versions",
        ),
    ],
    "infra/main.bicep": [
        (
            "a module's parameter is forgotten",
            "    insightsName: monitoring.outputs.insightsName\n    appP",
            "    appP",
            "language.modules",
        ),
        ("an output that is not there", "recorder.outputs.hostName", "recorder.outputs.hostname", "language.outputs"),
        (
            "a role goes to the wrong identity",
            "appPrincipalId: recorder.outputs",
            "appPrincipalId: events.outputs",
            "access.roles",
        ),
        (
            "main.bicep reaches into a foreign group",
            "  name: 'events'\n  scope: group",
            "  name: 'events'\n  scope: resourceGroup(acsParts[2], acsParts[4])",
            "access.groups",
        ),
    ],
    "infra/app/rbac.bicep": [
        (
            "a role is removed",
            "resource appUsesTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {",
            "resource appUsesTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (false) {",
            "access.roles",
        ),
        ("a role is raised", "roles.storageBlobDataReader", "roles.storageBlobDataOwner", "access.roles"),
    ],
    "infra/app/access-destination.bicep": [
        ("a scope is widened", "  scope: container\n  properties", "  scope: account\n  properties", "access.roles"),
    ],
    "infra/roles.json": [
        ("a role's id is mistyped", "974c5e8b-45b9", "974c5e8b-45b8", "access.roles"),
    ],
    "infra/app/storage.bicep": [
        ("shared keys are on", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "access.keys"),
        ("a queue is renamed", "'recording-rescues-urgent'", "'recording-urgent'", "app.names"),
        ("a container is renamed", "'recording-fallback'", "'fallback'", "app.containers"),
        ("a rule deletes what is unfinished", "'${ledgerContainer}/closed/'", "'${ledgerContainer}/'", "app.retention"),
    ],
    "infra/app/subscription.bicep": [
        (
            "a function is renamed",
            "/functions/recording_file_status_updated",
            "/functions/recording_file_status",
            "app.names",
        ),
        ("an event type is left out", "        'Microsoft.Communication.CallStarted'\n", "", "app.subscription"),
        (
            "dead letters are left out",
            "blobContainerName: deadLetterContainer",
            "blobContainerName: ''",
            "app.subscription",
        ),
    ],
    "infra/app/destination.bicep": [
        (
            "soft delete is off",
            "deleteRetentionPolicy: {\n      enabled: true",
            "deleteRetentionPolicy: {\n      enabled: false",
            "app.retention",
        ),
    ],
    "infra/app/monitoring.bicep": [
        ("a query asks for an event that is not logged", "sweep.done", "sweep.finished", "app.queries"),
    ],
    "scripts/postdeploy.sh": [
        ("a variable goes unquoted", 'storageId="$APP_STORAGE_ID"', "storageId=$APP_STORAGE_ID", "scripts.syntax"),
        ("a hook reads what no template gives", "$APP_STORAGE_ID", "$APP_STORAGE", "scripts.variables"),
    ],
    "scripts/postprovision.ps1": [
        ("a twin forgets a flag", "--assignee-object-id $Principal ", "", "scripts.twins"),
    ],
    "scripts/postprovision.sh": [
        ("a hook gives a parameter that is not there", 'access="$ACS_ROLE"', 'role="$ACS_ROLE"', "scripts.templates"),
    ],
    "azure.yaml": [
        ("the service has no resource", "  recorder:\n", "  recorders:\n", "scripts.azd_project"),
    ],
    "docs/deploy.md": [
        (
            "a command of azd that does not exist",
            "azd env new recordings",
            "azd env create recordings",
            "scripts.azd_commands",
        ),
    ],
    "infra/main.parameters.json": [
        ("two defaults part", "MAXIMUM_INSTANCES=40", "MAXIMUM_INSTANCES=4", "language.azd_parameters"),
        ("an output feeds a parameter", "{ACS_RESOURCE_ID}", "{ACS_ID}", "scripts.parameters_of_azd"),
    ],
}
