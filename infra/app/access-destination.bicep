// The two roles at a destination, on the container and nothing wider. Deployed into the resource group of its account,
// by the hook postprovision or by hand, once for each container that a caller may name.

@description('Storage account that recordings go to.')
param accountName string

@description('Container in it. It must be there.')
param containerName string

@description('Identity of the ACS resource: it exports.')
param acsPrincipalId string

@description('Identity of the app: it verifies and rescues.')
param appPrincipalId string

var roles = loadJsonContent('../roles.json')

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' existing = {
  parent: blobs
  name: containerName
}

resource acsExports 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(container.id, acsPrincipalId, roles.storageBlobDataContributor)
  scope: container
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataContributor)
    principalId: acsPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource appRescues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(container.id, appPrincipalId, roles.storageBlobDataContributor)
  scope: container
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataContributor)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}
