// The function app on Flex Consumption, its plan and its settings.

@description('Name of the app.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('The app\'s own storage account.')
param storageName string

@description('Container of the deployed package.')
param packageContainer string

@description('Container of the ledger.')
param ledgerContainer string

@description('Container of recordings that their destination refused.')
param fallbackContainer string

@description('Container of events that could not be used.')
param rejectedContainer string

@description('Application Insights.')
param insightsName string

@description('Host of ACS\'s endpoint.')
param acsHostName string

@description('Secret URI of ACS\'s connection string. Empty: the app uses its identity.')
param acsConnectionStringSecretUri string

@description('URL of the container that recordings go to.')
param destinationContainerUrl string

@description('Further containers that a caller may name, separated by commas.')
param containersAllowed string

@description('Subnet for outgoing traffic. Empty: none.')
param subnetId string

@description('Spread instances over availability zones.')
param zoneRedundant bool

@description('Instances that are always up, for requests and for events, of each.')
param alwaysReadyInstances int

@description('Most instances at once.')
param maximumInstances int

@description('Further app settings, by name.')
param extraSettings object

// The newest Python that the tests run on and that Functions keeps for more than a year from now.
@description('Python of the app.')
@allowed(['3.11', '3.12', '3.13'])
param pythonVersion string = '3.12'

// One worker process an instance. An idle worker takes some 64 MB and the host about as much again; blocks under way take
// RESCUE_MEMORY_MIB however many rescues run (docs/performance.md). 2048 MB leave room for eight times that.
@description('Memory of an instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemory int = 2048

@description('Memory in MiB for all blocks under way in an instance.')
@minValue(1)
@maxValue(1024)
param rescueMemory int = 128

@description('HTTP requests at once in an instance: the worker\'s thread pool serves them.')
@minValue(1)
@maxValue(32)
param httpConcurrency int = 16

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'recorder' })
  kind: 'functionapp,linux'
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    // Event Grid delivers over the internet, with a key of the app.
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: {
            type: 'SystemAssignedIdentity'
          }
        }
      }
      runtime: {
        name: 'python'
        version: pythonVersion
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemory
        maximumInstanceCount: maximumInstances
        alwaysReady: alwaysReadyInstances == 0 ? [] : [
          {
            name: 'http'
            instanceCount: alwaysReadyInstances
          }
          {
            name: 'function:recording_file_status_updated'
            instanceCount: alwaysReadyInstances
          }
        ]
        triggers: {
          http: {
            perInstanceConcurrency: httpConcurrency
          }
        }
      }
    }
  }
}

resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

// What is not here keeps its default: ../settings-left-out.json says why. No key is among them: the host and the app
// reach the account by the identity, the connection string of Application Insights opens nothing without it.
var settings = {
  AzureWebJobsStorage__blobServiceUri: storage.properties.primaryEndpoints.blob
  AzureWebJobsStorage__queueServiceUri: storage.properties.primaryEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: storage.properties.primaryEndpoints.table
  AzureWebJobsStorage__credential: 'managedidentity'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD'
  ACS_ENDPOINT: 'https://${acsHostName}'
  RECORDING_CONTAINER_URL: destinationContainerUrl
  RECORDING_CONTAINERS_ALLOWED: containersAllowed
  FALLBACK_CONTAINER: fallbackContainer
  LEDGER_CONTAINER: ledgerContainer
  REJECTED_EVENTS_CONTAINER: rejectedContainer
  RESCUE_MEMORY_MIB: string(rescueMemory)
  // After a Flex specialization the worker's pool has as few as five threads (docs/adr/0005).
  PYTHON_THREADPOOL_THREAD_COUNT: '32'
}
var acsKey = empty(acsConnectionStringSecretUri) ? {} : {
  ACS_CONNECTION_STRING: '@Microsoft.KeyVault(SecretUri=${acsConnectionStringSecretUri})'
}

resource appSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: union(settings, acsKey, extraSettings)
}

@description('Resource ID.')
output id string = app.id

@description('Name of the app.')
output name string = app.name

@description('Host that the app answers at.')
output hostName string = app.properties.defaultHostName

@description('Its identity.')
output principalId string = app.identity.principalId
