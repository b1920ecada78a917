// A Communication Services resource. Its identity is the one that writes exports.

@description('Name of the resource.')
param name string

@description('Where its data is at rest.')
param dataLocation string

@description('Tags.')
param tags object

resource acs 'Microsoft.Communication/communicationServices@2023-04-01' = {
  name: name
  location: 'global'
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    dataLocation: dataLocation
  }
}

@description('Resource ID.')
output id string = acs.id

@description('Host of its endpoint, in whichever cloud it is.')
output hostName string = acs.properties.hostName

@description('Its identity.')
output principalId string = acs.identity.principalId
