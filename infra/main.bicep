// All that `azd up` makes, in one resource group of its own.
//
// Nothing here deploys into a resource group that was there before: `azd down` deletes every resource group that the
// deployment reached (azure-dev issue 2916), with all that is in it. What has to be done at an existing ACS resource or
// storage account (their role assignments, the event subscription) is deployed by the hooks, out of azd's sight:
// app/access-acs.bicep, app/access-destination.bicep, app/subscription.bicep.
targetScope = 'subscription'

@description('Name of the azd environment: part of every name.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Region of everything that has one.')
@minLength(1)
param location string

@description('Resource group to make.')
param resourceGroupName string = 'rg-${environmentName}'

@description('Resource ID of an existing Communication Services resource with a system-assigned identity. Empty: one is made.')
param acsResourceId string = ''

@description('Where a new Communication Services resource keeps its data at rest.')
param acsDataLocation string = 'Europe'

@description('How the app is let into ACS: the role Contributor (the one that Microsoft documents; it can list the keys), the narrower Communication and Email Service Owner (not proved live), or ACS\'s connection string from a Key Vault and no role at all.')
@allowed(['contributor', 'communicationOwner', 'keyVaultReference'])
param acsAccess string = 'contributor'

@description('Secret URI (it ends with /secrets/NAME) of ACS\'s connection string, for acsAccess keyVaultReference. The app\'s identity must be able to read it: Key Vault Secrets User.')
param acsConnectionStringSecretUri string = ''

@description('Resource ID of the existing storage account that recordings go to. Empty: one is made.')
param destinationAccountId string = ''

@description('Container that recordings go to. In an existing account it must be there.')
@minLength(3)
@maxLength(63)
param destinationContainer string = 'recordings'

@description('Whether a new destination is reachable from the internet (with a role). ACS cannot write into a private one: then this app fetches every recording.')
@allowed(['public', 'private'])
param destinationNetwork string = 'public'

@description('Version-level immutability on a new destination container. It cannot be turned off again.')
param destinationImmutable bool = false

@description('Further containers that a caller may name, as URLs separated by commas. Their roles are the caller\'s matter: app/access-destination.bicep.')
param containersAllowed string = ''

@description('public: the app\'s own account is reachable from the internet (with a role). private: only through private endpoints in a virtual network that is made.')
@allowed(['public', 'private'])
param network string = 'public'

@description('Address space of that virtual network: at least a /24.')
param networkPrefix string = '10.77.0.0/24'

@description('Spread the plan and the storage accounts over availability zones. Not every region can.')
param zoneRedundant bool = false

@description('Instances that are always up for requests and for events, of each: no cold start, and a bill for idle time.')
@minValue(0)
@maxValue(20)
param alwaysReadyInstances int = 0

@description('Most instances at once.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

@description('E-mail addresses that get the alerts, separated by commas. Empty: alerts are only seen in the portal.')
param alertEmails string = ''

@description('Object ID of an Entra group that may read ledger, fallback, rejected events and dead letters. Empty: nobody is let in.')
param operatorsGroupId string = ''

@description('Resource ID of the system topic that the ACS resource has already (a source can have only one). The hook preprovision finds it. Empty: one is made.')
param existingEventTopicId string = ''

@description('Days that the ledger keeps what is finished. 0: for ever.')
@minValue(0)
@maxValue(3650)
param ledgerRetentionDays int = 0

@description('Put a lock against deletion on the storage accounts that hold recordings.')
param lockRecordings bool = true

@description('Further app settings, by name: what settings-left-out.json names may be set here.')
param extraSettings object = {}

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
// Of an ID's parts 2 is the subscription, 4 the resource group, 8 the name. The stand-in keeps the parts there where no
// ID was given; nothing reads them then.
var noId = '/subscriptions/${subscription().subscriptionId}/resourceGroups/none/providers/none/none/none'
var acsParts = split(empty(acsResourceId) ? noId : acsResourceId, '/')
var destinationParts = split(empty(destinationAccountId) ? noId : destinationAccountId, '/')
var topicParts = split(empty(existingEventTopicId) ? noId : existingEventTopicId, '/')

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: resourceGroupName
  location: location
  tags: tags
}

resource acsExisting 'Microsoft.Communication/communicationServices@2023-04-01' existing = if (!empty(acsResourceId)) {
  name: acsParts[8]
  scope: resourceGroup(acsParts[2], acsParts[4])
}

module acs 'app/acs.bicep' = if (empty(acsResourceId)) {
  name: 'acs'
  scope: group
  params: {
    name: 'acs-${token}'
    dataLocation: acsDataLocation
    tags: tags
  }
}

module storage 'app/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'app${token}'
    location: location
    tags: tags
    network: network
    zoneRedundant: zoneRedundant
    ledgerRetentionDays: ledgerRetentionDays
    lock: lockRecordings
  }
}

module monitoring 'app/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    alertEmails: alertEmails
  }
}

resource destinationExisting 'Microsoft.Storage/storageAccounts@2023-05-01' existing = if (!empty(destinationAccountId)) {
  name: destinationParts[8]
  scope: resourceGroup(destinationParts[2], destinationParts[4])
}

module destination 'app/destination.bicep' = if (empty(destinationAccountId)) {
  name: 'destination'
  scope: group
  params: {
    name: 'rec${token}'
    location: location
    tags: tags
    containerName: destinationContainer
    network: destinationNetwork
    zoneRedundant: zoneRedundant
    immutable: destinationImmutable
    lock: lockRecordings
    workspaceId: monitoring.outputs.workspaceId
  }
}

module privateNetwork 'app/network.bicep' = if (network == 'private') {
  name: 'network'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    prefix: networkPrefix
    appStorageId: storage.outputs.id
    destinationId: empty(destinationAccountId) && destinationNetwork == 'private' ? destination.outputs.id : ''
  }
}

module recorder 'app/recorder.bicep' = {
  name: 'recorder'
  scope: group
  params: {
    name: 'func-${token}'
    location: location
    tags: tags
    storageName: storage.outputs.name
    packageContainer: storage.outputs.packageContainer
    ledgerContainer: storage.outputs.ledgerContainer
    fallbackContainer: storage.outputs.fallbackContainer
    rejectedContainer: storage.outputs.rejectedContainer
    insightsName: monitoring.outputs.insightsName
    acsHostName: empty(acsResourceId) ? acs.outputs.hostName : acsExisting.properties.hostName
    acsConnectionStringSecretUri: acsAccess == 'keyVaultReference' ? acsConnectionStringSecretUri : ''
    destinationContainerUrl: '${empty(destinationAccountId) ? destination.outputs.blobEndpoint : destinationExisting.properties.primaryEndpoints.blob}${destinationContainer}'
    containersAllowed: containersAllowed
    subnetId: network == 'private' ? privateNetwork.outputs.appSubnetId : ''
    zoneRedundant: zoneRedundant
    alwaysReadyInstances: alwaysReadyInstances
    maximumInstances: maximumInstances
    extraSettings: extraSettings
  }
}

resource topicExisting 'Microsoft.EventGrid/systemTopics@2022-06-15' existing = if (!empty(existingEventTopicId)) {
  name: topicParts[8]
  scope: resourceGroup(topicParts[2], topicParts[4])
}

module events 'app/events.bicep' = if (empty(existingEventTopicId)) {
  name: 'events'
  scope: group
  params: {
    name: 'evgt-${token}'
    tags: tags
    acsId: empty(acsResourceId) ? acs.outputs.id : acsResourceId
    actionGroupId: monitoring.outputs.actionGroupId
  }
}

module rbac 'app/rbac.bicep' = {
  name: 'rbac'
  scope: group
  params: {
    storageName: storage.outputs.name
    deadLetterContainer: storage.outputs.deadLetterContainer
    insightsName: monitoring.outputs.insightsName
    appPrincipalId: recorder.outputs.principalId
    topicPrincipalId: empty(existingEventTopicId) ? events.outputs.principalId : topicExisting.identity.principalId
    operatorsGroupId: operatorsGroupId
  }
}

@description('The resource group that was made.')
output AZURE_RESOURCE_GROUP string = group.name

@description('The function app.')
output APP_NAME string = recorder.outputs.name

@description('Its resource ID.')
output APP_ID string = recorder.outputs.id

@description('Where it is asked.')
output APP_URL string = 'https://${recorder.outputs.hostName}'

@description('Its identity.')
output APP_PRINCIPAL_ID string = recorder.outputs.principalId

@description('Its own storage account: ledger, queues, fallback, dead letters.')
output APP_STORAGE_ID string = storage.outputs.id

@description('The container of dead letters in it.')
output DEAD_LETTER_CONTAINER string = storage.outputs.deadLetterContainer

@description('The Communication Services resource.')
output ACS_ID string = empty(acsResourceId) ? acs.outputs.id : acsResourceId

@description('Its identity: the one that exports.')
output ACS_PRINCIPAL_ID string = empty(acsResourceId) ? acs.outputs.principalId : acsExisting.identity.principalId

@description('How the app is let into it.')
output ACS_ROLE string = acsAccess

@description('The storage account that recordings go to.')
output DESTINATION_ID string = empty(destinationAccountId) ? destination.outputs.id : destinationAccountId

@description('The container in it.')
output DESTINATION_CONTAINER string = destinationContainer

@description('The system topic of the Communication Services resource.')
output EVENT_TOPIC_ID string = empty(existingEventTopicId) ? events.outputs.id : existingEventTopicId
