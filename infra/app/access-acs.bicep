// The app's role at ACS: it starts recordings, asks for their state, and downloads media. Deployed into the resource
// group of the ACS resource, by the hook postprovision or by hand.
//
// ACS publishes no role for its data plane. Contributor on the resource is what Microsoft documents for an identity; it
// can also list the resource's keys. Communication and Email Service Owner is narrower (actions of ACS only: no event
// subscriptions, no diagnostics) but lists keys as well, and that it is enough for recordings was not proved live.
// With a Key Vault reference to the connection string the app has no role here at all.

@description('Name of the Communication Services resource.')
param acsName string

@description('Identity of the app.')
param appPrincipalId string

@description('The role.')
@allowed(['contributor', 'communicationOwner', 'keyVaultReference'])
param access string

var roles = loadJsonContent('../roles.json')
var role = access == 'communicationOwner' ? roles.communicationAndEmailServiceOwner : roles.contributor

resource acs 'Microsoft.Communication/communicationServices@2023-04-01' existing = {
  name: acsName
}

resource appRecords 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (access != 'keyVaultReference') {
  name: guid(acs.id, appPrincipalId, role)
  scope: acs
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}
