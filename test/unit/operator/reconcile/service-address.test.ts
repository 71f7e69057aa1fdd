/** The cluster IP of the Services of revisions: which Services are headless, and what a stored Service keeps. */
import assert from 'node:assert/strict';
import type { KubeObject } from '../../../../api/kube-object.ts';
import { recordOf } from '../../../../lib/json.ts';
import { lacksAddress, withStoredAddress } from '../../../../operator/reconcile/service-address.ts';
import { entryService, revisionService, type RevisionAddress } from '../../../../operator/resources/services.ts';
import { given } from '../../../support/given.ts';

const model = given.model();
const wanted = (address: RevisionAddress): ReturnType<typeof revisionService> =>
  revisionService(model, 'aaaa', address);
const stored = (clusterIP: string): KubeObject => ({ ...wanted('None'), spec: { clusterIP } }) as KubeObject;
const addressOf = (manifest: object): unknown => recordOf(recordOf(manifest)['spec'])['clusterIP'];

describe('the cluster IP of a Service', () => {
  it('is allocated for the entry Service, and for a revision only where the model has a route', () => {
    assert.equal(addressOf(wanted('None')), 'None');
    assert.equal(addressOf(wanted('ClusterIP')), undefined);
    assert.equal(addressOf(entryService(model, 'aaaa')), undefined);
  });

  it('stays as it is in a stored Service that has one, because the field is immutable', () => {
    assert.deepEqual(withStoredAddress(wanted('None'), stored('10.0.0.7')), wanted('ClusterIP'));
    assert.deepEqual(withStoredAddress(wanted('None'), stored('None')), wanted('None'));
    assert.deepEqual(withStoredAddress(wanted('None'), undefined), wanted('None'));
  });

  it('is lacking only in a headless Service that a route needs', () => {
    assert.equal(lacksAddress(wanted('ClusterIP'), stored('None')), true);
    assert.equal(lacksAddress(wanted('ClusterIP'), stored('10.0.0.7')), false);
    assert.equal(lacksAddress(wanted('None'), stored('None')), false);
  });
});
