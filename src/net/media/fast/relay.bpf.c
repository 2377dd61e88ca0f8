// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The fast path of the relay: a classifier at the ingress of an interface. A plain RTP packet of a stream that the relay has established
// is given its new addresses and sent on from here; whatever else comes, the relay sees as it would without this program.
//
// What it is not: it decides nothing about calls. Which source is heard, where its packets go and by which interface stands in STREAMS,
// put there and taken out by the relay (mod.rs beside this file, whose bytes.rs writes these very structures).
//
// Invariants: what isn't passed on isn't changed; a packet passed on came from exactly the source of its stream, and is counted once.
// Built by `build` beside this file; relay.bpf.o is what it makes.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// For the relay in user space, and for whatever other programs stand at this interface.
#define UP TC_ACT_UNSPEC
// Streams at once: STREAMS_MAX of mod.rs.
#define STREAMS_MAX 32768
// Octets of an IP packet that go on from here: what every link of IPv6 takes (RFC 8200 section 5), as nothing is fragmented here.
#define LENGTH_MAX 1280
// RFC 3550 section A.1, as in relay/stats.rs: a larger step forward, or one further back, may be a restart, which the relay judges.
#define DROPOUT_MAX 3000
#define MISORDER_MAX 100
// A pause after which jitter is measured from anew: products below stay within 64 bits.
#define PAUSE_NS (1ULL << 40)
#define SECOND_NS 1000000000ULL
// The loopback interface of every network namespace.
#define LOOPBACK 1

struct rtp {
	__u8 first;
	__u8 second;
	__be16 sequence;
	__be32 timestamp;
	__be32 ssrc;
};

// Where a packet came to, and from where. IPv4 as mapped addresses (RFC 4291 section 2.5.5.2).
struct key {
	__u32 local[4];
	__u32 remote[4];
	__be16 local_port;
	__be16 remote_port;
};

// Where it goes, and from where. IPv4 in the first of four words.
struct stream {
	__u32 slot;        // of COUNTS
	__u32 interface;   // 0: to a phone on this machine
	__u32 hop_family;  // of the next hop
	__u32 hop[4];
	__u32 local[4];
	__u32 remote[4];
	__be16 local_port;
	__be16 remote_port;
	__u32 addresses;   // what the new addresses change in a checksum (RFC 1624)
	__u32 ports;       // what the new ports change
	__u8 traffic_class;
	__u8 unused[3];
};

// What has passed, and what is measured of it (RFC 3550 sections A.3 and A.8).
struct counts {
	__u64 packets;
	__u64 octets;      // of UDP payload
	__u64 arrived_ns;  // the last one, by CLOCK_MONOTONIC
	__u32 ssrc;        // of these alone
	__u32 timestamp;   // at which jitter was measured last
	__u32 jitter;      // sixteen times its value, in units of the timestamp
	__u32 rate_hz;
	__u32 sequence;    // the highest
	__u32 payload_type;// of these alone jitter is measured
	__u64 measured_ns; // when
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct key);
	__type(value, struct stream);
	__uint(max_entries, STREAMS_MAX);
} STREAMS SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct counts);
	__uint(max_entries, STREAMS_MAX);
} COUNTS SEC(".maps");

// RFC 3550 section A.8, with the integers given there.
static __always_inline void measure(struct counts *counts, const struct rtp *rtp, __u64 now)
{
	__u32 timestamp = bpf_ntohl(rtp->timestamp);
	if ((rtp->second & 0x7f) != counts->payload_type || timestamp == counts->timestamp)
		return;
	__u64 since = now - counts->measured_ns;
	if (counts->measured_ns && since < PAUSE_NS) {
		__s32 sent = timestamp - counts->timestamp;
		__s64 late = (__s64)(since * counts->rate_hz / SECOND_NS) - sent;
		if (late < 0)
			late = -late;
		if (late > 0x00ffffff)
			late = 0x00ffffff;
		counts->jitter += (__u32)late - ((counts->jitter + 8) >> 4);
	}
	counts->timestamp = timestamp;
	counts->measured_ns = now;
}

// Whether this is the next packet of the stream, or near it; it is counted then.
static __always_inline int counted(struct counts *counts, const struct rtp *rtp, __u32 octets)
{
	// Version 2, without contributing sources and extension, which the relay looks at itself; no RTCP (RFC 5761 section 4).
	if ((rtp->first & 0xdf) != 0x80 || (rtp->second >= 192 && rtp->second <= 223))
		return 0;
	if (bpf_ntohl(rtp->ssrc) != counts->ssrc)
		return 0;
	__u16 sequence = bpf_ntohs(rtp->sequence);
	__u16 ahead = sequence - (__u16)counts->sequence;
	if (ahead < DROPOUT_MAX)
		counts->sequence = sequence;
	else if (ahead <= (__u16)-MISORDER_MAX)
		return 0;
	__u64 now = bpf_ktime_get_ns();
	measure(counts, rtp, now);
	counts->arrived_ns = now;
	__sync_fetch_and_add(&counts->octets, octets);
	__sync_fetch_and_add(&counts->packets, 1);
	return 1;
}

// The header is rewritten but for the checksum of UDP, which may be left to a device to complete: the kernel knows that, and does it.
static __always_inline int send(struct __sk_buff *skb, const struct stream *stream, __u32 check)
{
	bpf_l4_csum_replace(skb, check, 0, stream->addresses, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
	bpf_l4_csum_replace(skb, check, 0, stream->ports, BPF_F_MARK_MANGLED_0);
	if (!stream->interface)
		return TC_ACT_OK;
	struct bpf_redir_neigh hop = { .nh_family = stream->hop_family };
	hop.ipv6_nh[0] = stream->hop[0];
	hop.ipv6_nh[1] = stream->hop[1];
	hop.ipv6_nh[2] = stream->hop[2];
	hop.ipv6_nh[3] = stream->hop[3];
	return bpf_redirect_neigh(stream->interface, &hop, sizeof(hop), 0);
}

// Whether its packets can go on from this interface: to a phone on this machine they do over loopback alone, where nothing but the
// address has to change.
static __always_inline int reachable(const struct __sk_buff *skb, const struct stream *stream)
{
	return stream->interface || skb->ifindex == LOOPBACK;
}

// After the Ethernet header, where they are aligned.
struct packet4 {
	struct iphdr ip;
	struct udphdr udp;
	struct rtp rtp;
};

static __always_inline int ipv4(struct __sk_buff *skb)
{
	struct packet4 *packet = (void *)(long)skb->data + ETH_HLEN;
	if ((void *)(packet + 1) > (void *)(long)skb->data_end) {
		if (bpf_skb_pull_data(skb, ETH_HLEN + sizeof(*packet)))
			return UP;
		packet = (void *)(long)skb->data + ETH_HLEN;
		if ((void *)(packet + 1) > (void *)(long)skb->data_end)
			return UP;
	}
	struct iphdr *ip = &packet->ip;
	// No options, no fragment, and it may live on.
	if (ip->protocol != IPPROTO_UDP || *(__u8 *)ip != 0x45 || ip->frag_off & bpf_htons(0x3fff) || ip->ttl <= 1)
		return UP;
	__u32 length = bpf_ntohs(ip->tot_len);
	if (length > LENGTH_MAX || length + ETH_HLEN > skb->len ||
	    bpf_ntohs(packet->udp.len) + sizeof(*ip) != length)
		return UP;
	struct key key = {
		.local = { 0, 0, bpf_htonl(0xffff), ip->daddr },
		.remote = { 0, 0, bpf_htonl(0xffff), ip->saddr },
		.local_port = packet->udp.dest,
		.remote_port = packet->udp.source,
	};
	struct stream *stream = bpf_map_lookup_elem(&STREAMS, &key);
	if (!stream || !reachable(skb, stream))
		return UP;
	struct counts *counts = bpf_map_lookup_elem(&COUNTS, &stream->slot);
	if (!counts || !counted(counts, &packet->rtp, length - sizeof(*ip) - sizeof(struct udphdr)))
		return UP;
	ip->tos = stream->traffic_class;
	ip->ttl--;
	ip->saddr = stream->local[0];
	ip->daddr = stream->remote[0];
	ip->check = 0;
	__u32 sum = 0;
	for (int word = 0; word < 10; word++)
		sum += ((__u16 *)ip)[word];
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~(sum + (sum >> 16));
	packet->udp.source = stream->local_port;
	packet->udp.dest = stream->remote_port;
	return send(skb, stream, ETH_HLEN + offsetof(struct packet4, udp.check));
}

struct packet6 {
	struct ipv6hdr ip;
	struct udphdr udp;
	struct rtp rtp;
};

static __always_inline int ipv6(struct __sk_buff *skb)
{
	struct packet6 *packet = (void *)(long)skb->data + ETH_HLEN;
	if ((void *)(packet + 1) > (void *)(long)skb->data_end) {
		if (bpf_skb_pull_data(skb, ETH_HLEN + sizeof(*packet)))
			return UP;
		packet = (void *)(long)skb->data + ETH_HLEN;
		if ((void *)(packet + 1) > (void *)(long)skb->data_end)
			return UP;
	}
	struct ipv6hdr *ip = &packet->ip;
	// No extension headers; a checksum there must be (RFC 8200 section 8.1).
	if (ip->nexthdr != IPPROTO_UDP || ip->version != 6 || ip->hop_limit <= 1 || !packet->udp.check)
		return UP;
	__u32 payload = bpf_ntohs(ip->payload_len);
	if (payload + sizeof(*ip) > LENGTH_MAX || payload + sizeof(*ip) + ETH_HLEN > skb->len ||
	    bpf_ntohs(packet->udp.len) != payload)
		return UP;
	struct key key = { .local_port = packet->udp.dest, .remote_port = packet->udp.source };
	__builtin_memcpy(key.local, &ip->daddr, sizeof(key.local));
	__builtin_memcpy(key.remote, &ip->saddr, sizeof(key.remote));
	struct stream *stream = bpf_map_lookup_elem(&STREAMS, &key);
	if (!stream || !reachable(skb, stream))
		return UP;
	struct counts *counts = bpf_map_lookup_elem(&COUNTS, &stream->slot);
	if (!counts || !counted(counts, &packet->rtp, payload - sizeof(struct udphdr)))
		return UP;
	ip->priority = stream->traffic_class >> 4;
	ip->flow_lbl[0] = (stream->traffic_class << 4) | (ip->flow_lbl[0] & 0x0f);
	ip->hop_limit--;
	__builtin_memcpy(&ip->saddr, stream->local, sizeof(stream->local));
	__builtin_memcpy(&ip->daddr, stream->remote, sizeof(stream->remote));
	packet->udp.source = stream->local_port;
	packet->udp.dest = stream->remote_port;
	return send(skb, stream, ETH_HLEN + offsetof(struct packet6, udp.check));
}

SEC("classifier")
int relay(struct __sk_buff *skb)
{
	// Not for us, of a virtual LAN that has an interface of its own, or several packets in one.
	if (skb->pkt_type != PACKET_HOST || skb->vlan_present || skb->gso_size)
		return UP;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return ipv4(skb);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return ipv6(skb);
	return UP;
}

// None of the helpers above asks for another licence.
char LICENSE[] SEC("license") = "MIT OR Apache-2.0";
