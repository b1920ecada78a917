// The event subscription. The hook postdeploy deploys it into the topic's resource group after the code is there:
// Event Grid refuses a function that the app does not list.

@description('Name of the system topic of the ACS resource.')
param topicName string

@description('Resource ID of the function app.')
param appId string

@description('Resource ID of the app\'s own storage account.')
param storageId string

@description('Container of dead letters in it.')
param deadLetterContainer string

resource topic 'Microsoft.EventGrid/systemTopics@2022-06-15' existing = {
  name: topicName
}

resource subscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2022-06-15' = {
  parent: topic
  name: 'recording-file-status'
  properties: {
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: '${appId}/functions/recording_file_status_updated'
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
      }
    }
    eventDeliverySchema: 'EventGridSchema'
    filter: {
      includedEventTypes: [
        'Microsoft.Communication.RecordingFileStatusUpdated'
        // The only event that names a group or a room together with its server call id: it joins a recording that was
        // started by group or room to events of its files that carry no recording id.
        'Microsoft.Communication.CallStarted'
      ]
    }
    retryPolicy: {
      // Both are the most that there is: as long as ACS keeps a recording.
      eventTimeToLiveInMinutes: 1440
      maxDeliveryAttempts: 30
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: storageId
          blobContainerName: deadLetterContainer
        }
      }
    }
  }
}
