// The app's own account: package, ledger, queues, fallback, rejected events, dead letters. Entra only: no shared key
// opens it, so there is none to leak or to rotate.

@description('Name of the account.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('private: only through private endpoints.')
@allowed(['public', 'private'])
param network string

@description('Keep a copy in each availability zone.')
param zoneRedundant bool

@description('Days that the ledger keeps what is finished. 0: for ever.')
param ledgerRetentionDays int

@description('Days that rejected events and dead letters are kept. They are what an event is repaired from.')
@minValue(8)
param rejectedRetentionDays int = 90

@description('Days in which a deleted blob or container can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 7

@description('Put a lock against deletion on the account: the fallback holds recordings.')
param lock bool

var packageContainer = 'app-package'
var ledgerContainer = 'recording-ledger'
var fallbackContainer = 'recording-fallback'
var rejectedContainer = 'rejected-events'
var deadLetterContainer = 'dead-letters'
var containerNames = [packageContainer, ledgerContainer, fallbackContainer, rejectedContainer, deadLetterContainer]
// The names that function_app.py binds. The app makes a queue that is missing; with these it need not at its first event.
var queueNames = ['recording-rescues', 'recording-rescues-urgent', 'recording-background']

// What is unfinished (`open/`) and the fallback are never under a rule: a rule that deletes there deletes recordings.
var rejectedRule = {
  name: 'rejected-events'
  enabled: true
  type: 'Lifecycle'
  definition: {
    filters: {
      blobTypes: ['blockBlob', 'appendBlob']
      prefixMatch: ['${rejectedContainer}/', '${deadLetterContainer}/']
    }
    actions: {
      baseBlob: {
        delete: {
          daysAfterModificationGreaterThan: rejectedRetentionDays
        }
      }
    }
  }
}
var ledgerRule = {
  name: 'ledger'
  enabled: true
  type: 'Lifecycle'
  definition: {
    filters: {
      blobTypes: ['blockBlob']
      prefixMatch: [
        '${ledgerContainer}/closed/'
        '${ledgerContainer}/finished/'
        '${ledgerContainer}/ids/'
        '${ledgerContainer}/aliases/'
        '${ledgerContainer}/starts/'
      ]
    }
    actions: {
      baseBlob: {
        delete: {
          // Never sooner than a delivery is tried (DELIVERY_DAYS and two days more).
          daysAfterModificationGreaterThan: max(ledgerRetentionDays, 30)
        }
      }
    }
  }
}

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: network == 'private' ? 'Disabled' : 'Enabled'
    networkAcls: {
      // Event Grid brings dead letters as a trusted service, by the topic's identity, past a closed network.
      bypass: 'AzureServices'
      defaultAction: network == 'private' ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
  }
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = [for container in containerNames: {
  parent: blobs
  name: container
  properties: {
    publicAccess: 'None'
  }
}]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2023-05-01' = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = [for queue in queueNames: {
  parent: queueService
  name: queue
}]

resource lifeCycle 'Microsoft.Storage/storageAccounts/managementPolicies@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: ledgerRetentionDays > 0 ? [rejectedRule, ledgerRule] : [rejectedRule]
    }
  }
  dependsOn: [
    containers
  ]
}

resource accountLock 'Microsoft.Authorization/locks@2020-05-01' = if (lock) {
  name: 'recordings'
  scope: account
  properties: {
    level: 'CanNotDelete'
    notes: 'The fallback container holds recordings that are nowhere else. scripts/predown takes this lock away when it is told twice.'
  }
}

@description('Resource ID.')
output id string = account.id

@description('Name of the account.')
output name string = account.name

@description('Container of the deployed package.')
output packageContainer string = packageContainer

@description('Container of the ledger.')
output ledgerContainer string = ledgerContainer

@description('Container of recordings that their destination refused.')
output fallbackContainer string = fallbackContainer

@description('Container of events that could not be used.')
output rejectedContainer string = rejectedContainer

@description('Container of what Event Grid gave up on.')
output deadLetterContainer string = deadLetterContainer
