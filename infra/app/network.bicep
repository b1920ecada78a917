// A virtual network for the app's outgoing traffic, and private endpoints for storage.
//
// The app reaches its own account, and a private destination, through the endpoints. Event Grid reaches the app over the
// internet with a key, and brings dead letters as a trusted service. ACS reaches no private destination: Storage's list of
// trusted services and of resource instances has no Communication Services, and ACS joins no customer's network. Each
// export into one fails; the app then fetches each recording within ACS's 24 hours, and writes it from inside.

@description('Part of every name.')
param token string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Address space: at least a /24.')
param prefix string

@description('The app\'s own storage account.')
param appStorageId string

@description('A private destination. Empty: none.')
param destinationId string

var services = ['blob', 'queue', 'table']

resource network 'Microsoft.Network/virtualNetworks@2024-01-01' = {
  name: 'vnet-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [prefix]
    }
    subnets: [
      {
        // A Flex Consumption app has one to itself; an underscore in its name is refused.
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(prefix, 26, 0)
          delegations: [
            {
              name: 'flex'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(prefix, 26, 1)
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2020-06-01' = [for service in services: {
  name: 'privatelink.${service}.${environment().suffixes.storage}'
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [for (service, index) in services: {
  parent: zones[index]
  name: 'vnet-${token}'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: network.id
    }
  }
}]

resource endpoints 'Microsoft.Network/privateEndpoints@2024-01-01' = [for service in services: {
  name: 'pep-${service}-${token}'
  location: location
  tags: tags
  properties: {
    subnet: {
      id: network.properties.subnets[1].id
    }
    privateLinkServiceConnections: [
      {
        name: service
        properties: {
          privateLinkServiceId: appStorageId
          groupIds: [service]
        }
      }
    ]
  }
}]

resource endpointZones 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-01-01' = [for (service, index) in services: {
  parent: endpoints[index]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: service
        properties: {
          privateDnsZoneId: zones[index].id
        }
      }
    ]
  }
}]

resource destinationEndpoint 'Microsoft.Network/privateEndpoints@2024-01-01' = if (!empty(destinationId)) {
  name: 'pep-destination-${token}'
  location: location
  tags: tags
  properties: {
    subnet: {
      id: network.properties.subnets[1].id
    }
    privateLinkServiceConnections: [
      {
        name: 'destination'
        properties: {
          privateLinkServiceId: destinationId
          groupIds: ['blob']
        }
      }
    ]
  }
}

resource destinationZone 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-01-01' = if (!empty(destinationId)) {
  parent: destinationEndpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: 'blob'
        properties: {
          privateDnsZoneId: zones[0].id
        }
      }
    ]
  }
}

@description('Subnet for the app.')
output appSubnetId string = network.properties.subnets[0].id
