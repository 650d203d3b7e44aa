// Timing of a graph of units: what graph/timing.py defines, at some ten nanoseconds an event.
//
// A process runs until a beat, a credit or a token that it needs is not known yet, or until the
// horizon; then the next one that can go on. A Wait is a link like a stream, without credits: the
// one process gives a token in the step waited for, the other takes it.

#include <algorithm>
#include <cstdint>
#include <vector>

using i64 = int64_t;

namespace {

const i64 ENDLESS = INT64_MAX;

// The latest entries of a growing sequence.
struct Ring {
    std::vector<i64> data = std::vector<i64>(16);
    i64 mask = 15;

    i64 &operator[](i64 k) { return data[k & mask]; }

    // Make room for entry `next`, while those from `oldest` on are still needed.
    void reserve(i64 oldest, i64 next) {
        if (next - oldest > mask) grow(next);
    }

    void grow(i64 next) {
        std::vector<i64> larger(2 * data.size());
        i64 larger_mask = larger.size() - 1;
        for (i64 k = std::max<i64>(0, next - mask - 1); k < next; k++)
            larger[k & larger_mask] = (*this)[k];
        data.swap(larger);
        mask = larger_mask;
    }
};

// The most beats between two places at once: how many entered, shifted by `shift`, in the cycle in
// which a beat left or before.
struct Meter {
    i64 shift = 0, in = 0, out = 0, most = 0;

    void go(Ring &entered, i64 enters, Ring &left, i64 leaves) {
        while (in < enters && out < leaves) {
            if (entered[in] <= left[out] + shift)
                most = std::max(most, ++in - out);
            else
                out++;
        }
    }
};

struct Link {
    i64 room, latency, depth, fifo_latency;
    int giver, taker;                       // -1: the network's end
    bool giver_waits = false, taker_waits = false;
    i64 offers = 0, enters = 0, takes = 0;  // beats so far
    Ring offered, entered, held, left;      // held, left: behind the FIFO only
    i64 limit = 0, pace = 0, frame = 1;     // at the network's ends
    std::vector<i64> *probe = nullptr, *entry_probe = nullptr;
    // Beats in the FIFO; where it never fills, beats between a step that gives one and its
    // transfer, and the same a cycle after that.
    Meter meters[2];

    void measure() {
        for (Meter &meter : meters) meter.go(entered, enters, left, takes);
    }
    i64 oldest_in() const { return std::min(meters[0].in, meters[1].in); }
    i64 oldest_out() const { return std::min(meters[0].out, meters[1].out); }

    // Let into the FIFO what is known to enter it.
    void pump() {
        while (enters < offers && (depth == ENDLESS || enters - depth < takes)) {
            i64 cycle = offered[enters];
            if (enters) cycle = std::max(cycle, entered[enters - 1] + 1);
            if (enters >= depth) cycle = std::max(cycle, left[enters - depth] + 1);
            entered.reserve(std::min(enters - std::min(room, enters) - 1, oldest_in()), enters);
            entered[enters] = cycle;
            held.reserve(takes, enters);
            held[enters++] = cycle + fifo_latency;
            if (entry_probe) entry_probe->push_back(cycle);
        }
    }

    void offer(i64 cycle) {
        offered.reserve(depth ? enters : takes, offers);
        offered[offers++] = cycle;
        if (depth) pump();
    }

    bool empty() const { return takes >= (depth ? enters : offers); }
    i64 front() { return takes < 0 ? 0 : depth ? held[takes] : offered[takes]; }

    void take(i64 cycle) {
        if (!depth) {
            if (room != ENDLESS) {
                entered.reserve(takes - room - 1, takes);
                entered[takes] = cycle;
            }
            takes++;
            enters = takes;
            if (entry_probe) entry_probe->push_back(cycle);
        } else {
            left.reserve(std::min(oldest_out(), takes - (depth == ENDLESS ? 0 : depth) - 1), takes);
            left[takes++] = cycle;
            measure();
            pump();
        }
        if (probe) probe->push_back(cycle);
    }
};

struct Kind {
    i64 gap = 0;
    std::vector<Link *> takes, gives;
};

struct Process {
    std::vector<Kind> kinds;
    const uint16_t *events;                 // kind of every event of a period
    i64 length, periods;                    // events a period, periods a frame
    i64 at = 0, lap = 0, frame = 0, last = 0;
    uint64_t hash = 0;
    bool queued = true;
};

struct Simulation {
    std::vector<Link> links;
    std::vector<Process> processes;
    std::vector<int> queue;
    std::vector<int> later;                 // those at the horizon
    i64 horizon = 0, window, frames = 0, first_in = -1;
    i64 *ends;                              // (frames, processes): cycle of the last event
    uint64_t *hashes;                       // and of all distances between events
    i64 *o_ends;                            // (frames,): of the last beat of the output
    std::vector<std::vector<i64>> probes;

    void wake(int process) {
        if (process < 0 || processes[process].queued) return;
        processes[process].queued = true;
        queue.push_back(process);
    }

    void freed(Link &link) {
        if (link.giver_waits) link.giver_waits = false, wake(link.giver);
    }

    void given(Link &link) {
        if (link.taker < 0) {               // the output is taken at once
            while (!link.empty()) {
                i64 cycle = link.front();
                link.take(cycle);
                if (link.takes % link.frame == 0) o_ends[link.takes / link.frame - 1] = cycle;
            }
            freed(link);
        } else if (link.taker_waits && !link.empty()) {
            link.taker_waits = false, wake(link.taker);
        }
    }

    // The cycle of the next event; -1 where something is not known yet.
    i64 next(const Kind &kind, i64 cycle) {
        for (Link *link : kind.takes) {
            if (link->giver < 0 && link->offers < link->limit && link->empty())
                link->offer(link->offers / link->frame * link->pace);
            if (link->empty()) {
                link->taker_waits = true;
                return -1;
            }
            cycle = std::max(cycle, link->front());
        }
        for (Link *link : kind.gives) {
            i64 freed = link->offers - link->room;
            if (freed < 0) continue;
            if (freed >= link->enters) {
                link->giver_waits = true;
                return -1;
            }
            cycle = std::max(cycle, link->entered[freed] + 1);
        }
        return cycle;
    }

    void run(int index) {
        Process &p = processes[index];
        i64 last = p.last, at = p.at;
        uint64_t hash = p.hash;
        bool waits_for_time = true;         // or for more frames
        while (p.frame < frames) {
            const Kind &kind = p.kinds[p.events[at]];
            i64 cycle = next(kind, last + kind.gap);
            if (cycle < 0) {
                waits_for_time = false;
                break;
            }
            if (cycle > horizon) break;
            for (Link *link : kind.takes) {
                if (link->giver < 0 && first_in < 0) first_in = cycle;
                link->take(cycle);
                freed(*link);
            }
            for (Link *link : kind.gives) {
                link->offer(cycle + link->latency);
                given(*link);
            }
            hash = (hash ^ uint64_t(cycle - last)) * 0x100000001b3u;
            last = cycle;
            if (++at < p.length) continue;
            at = 0;
            if (++p.lap < p.periods) continue;
            p.lap = 0;
            ends[p.frame * processes.size() + index] = cycle;
            hashes[p.frame * processes.size() + index] = hash;
            p.frame++, hash = 0;
        }
        p.last = last, p.at = at, p.hash = hash;
        if (waits_for_time) {
            later.push_back(index);
            p.queued = true;
        }
    }

    // Go on to the end of frame `until`; false where nothing moves any more.
    bool go(i64 until) {
        frames = until;
        for (Link &link : links)
            if (link.giver < 0) link.limit = until * link.frame;
        while (true) {
            for (int p : later) queue.push_back(p);
            later.clear();
            for (size_t queue_at = 0; queue_at < queue.size(); queue_at++) {
                int p = queue[queue_at];
                if (queue_at == 4096) {
                    queue.erase(queue.begin(), queue.begin() + queue_at);
                    queue_at = 0;
                }
                processes[p].queued = false;
                run(p);
            }
            queue.clear();
            bool done = true, waits = false;
            for (Process &p : processes) done &= p.frame >= until;
            for (int p : later) waits |= processes[p].frame < until;
            if (done) return true;
            if (!waits) return false;
            horizon += window;
        }
    }
};

}  // namespace

extern "C" {

// links: (count, 7) of room, latency, giver, taker, tokens at the start, beats a frame, probed.
// kinds: a run of numbers: gap, takes, their links, gives, their links; kind_starts: where each
// process's begin; events: where each one's lie, how many, and periods a frame.
void *timing_new(i64 n_links, const i64 *links, const i64 *depths, const i64 *latencies,
                 i64 n_processes, const i64 *kind_counts, const i64 *kinds,
                 const uint16_t *const *events, const i64 *lengths, const i64 *periods,
                 i64 pace, i64 window) {
    Simulation *s = new Simulation;
    s->window = window;
    s->links.resize(n_links);
    s->probes.resize(2 * n_links);
    for (i64 k = 0; k < n_links; k++) {
        Link &link = s->links[k];
        const i64 *row = links + 7 * k;
        link.room = row[0] < 0 ? ENDLESS : row[0];
        link.latency = row[1], link.giver = row[2], link.taker = row[3];
        link.takes = -row[4], link.frame = row[5], link.pace = pace;
        link.depth = depths[k] < 0 ? ENDLESS : depths[k];
        link.fifo_latency = latencies[k];
        if (link.depth == ENDLESS) {
            link.meters[0].shift = link.latency;
            link.meters[1].shift = link.latency + 1;
        }
        if (row[6]) link.probe = &s->probes[2 * k], link.entry_probe = &s->probes[2 * k + 1];
    }
    s->processes.resize(n_processes);
    for (i64 p = 0; p < n_processes; p++) {
        Process &process = s->processes[p];
        process.events = events[p], process.length = lengths[p], process.periods = periods[p];
        for (i64 k = 0; k < kind_counts[p]; k++) {
            Kind kind;
            kind.gap = *kinds++;
            for (i64 n = *kinds++; n > 0; n--) kind.takes.push_back(&s->links[*kinds++]);
            for (i64 n = *kinds++; n > 0; n--) kind.gives.push_back(&s->links[*kinds++]);
            process.kinds.push_back(kind);
        }
        process.last = *kinds++;
        s->queue.push_back(p);
    }
    return s;
}

void timing_delete(void *s) { delete static_cast<Simulation *>(s); }

// Go on to the end of frame `frames`; arrays that hold so many. 0: something stands still.
int timing_go(void *simulation, i64 frames, i64 *ends, uint64_t *hashes, i64 *o_ends) {
    Simulation *s = static_cast<Simulation *>(simulation);
    s->ends = ends, s->hashes = hashes, s->o_ends = o_ends;
    return s->go(frames);
}

i64 timing_first_in(void *s) { return static_cast<Simulation *>(s)->first_in; }

// Beats taken of a link, and what its meters say.
i64 timing_taken(void *s, i64 link) { return static_cast<Simulation *>(s)->links[link].takes; }
i64 timing_most(void *s, i64 link, i64 meter) {
    return static_cast<Simulation *>(s)->links[link].meters[meter].most;
}

// What a probed link has seen: transfers out (which 0) or in (1).
i64 timing_probe(void *s, i64 link, i64 which, const i64 **data) {
    std::vector<i64> &probe = static_cast<Simulation *>(s)->probes[2 * link + which];
    *data = probe.data();
    return probe.size();
}

}  // extern "C"
