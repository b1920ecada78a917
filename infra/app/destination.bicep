// An account and a container for recordings, for those who have none.

@description('Name of the account.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Container that recordings go to.')
param containerName string

@description('private: only through private endpoints. ACS is no trusted service of Storage and has no private endpoint into a customer\'s network, so it cannot write there: each export fails, and the app fetches each recording.')
@allowed(['public', 'private'])
param network string

@description('Keep a copy in each availability zone.')
param zoneRedundant bool

@description('Version-level immutability. It cannot be turned off again.')
param immutable bool

@description('Days in which a deleted blob, version or container can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 30

@description('Put a lock against deletion on the account.')
param lock bool

@description('Log Analytics workspace that keeps who read, wrote and deleted.')
param workspaceId string

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
      bypass: 'AzureServices'
      defaultAction: network == 'private' ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
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

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: containerName
  properties: {
    publicAccess: 'None'
    immutableStorageWithVersioning: immutable ? {
      enabled: true
    } : null
  }
}

resource trail 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'who-read-wrote-deleted'
  scope: blobs
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageRead'
        enabled: true
      }
      {
        category: 'StorageWrite'
        enabled: true
      }
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

resource accountLock 'Microsoft.Authorization/locks@2020-05-01' = if (lock) {
  name: 'recordings'
  scope: account
  properties: {
    level: 'CanNotDelete'
    notes: 'Recordings. scripts/predown takes this lock away when it is told twice.'
  }
  dependsOn: [
    container
  ]
}

@description('Resource ID.')
output id string = account.id

@description('Endpoint of its blobs, in whichever cloud it is; it ends with a slash.')
output blobEndpoint string = account.properties.primaryEndpoints.blob
