/**
 * How urgent a request is, and what reports call it.
 *
 * Owns:  the list of tiers. Bulk work runs only while no interactive work waits.
 */

/**
 * Tier → its name in reports and samples. Interactive requests are `default` there: classes of requests are matched by
 * this word between revisions and with what an operator keeps, and other versions know interactive requests by it.
 */
export const reportedTiers = { interactive: 'default', bulk: 'bulk' } as const;

export type Tier = keyof typeof reportedTiers;
