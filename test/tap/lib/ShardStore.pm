
=head1 NAME

ShardStore - a real S3 server on loopback behind a proxy that makes faults

=head1 SYNOPSIS

  use ShardStore;

  my $store = store_start() or plan skip_all => store_missing();
  $store->make_bucket('lakes');
  $store->fault('503', count => 3);
  my @keys = $store->list('s3://lakes/');

The server is Ceph's radosgw (test/tools/object-store.sh); it ends with the test.

=cut

package ShardStore;

use strict;
use warnings;
use Exporter 'import';
use File::Temp ();
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

our @EXPORT = qw(store_start store_missing start_tool);

my $tools = "$ENV{TESTDIR}/tools";
my @running;

# Why there is no server; undef if there can be one.
sub store_missing
{
	my $out = '';
	return undef if IPC::Run::run([ "$tools/object-store.sh", 'available' ], '>', \$out);
	chomp $out;
	return "no S3 server: $out";
}

# A port, and the three after it, that nobody listens on.
sub free_ports
{
	for (1 .. 100)
	{
		my $port = PostgreSQL::Test::Cluster::get_free_port();
		my @free = grep {
			IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port + $_, Listen => 1, ReuseAddr => 1)
		} 1 .. 3;
		return $port if @free == 3;
	}
	die 'no free ports';
}

# Start a program of test/tools in node and wait until it says that it is ready.
sub start_tool
{
	my ($program, @arguments) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $handle = IPC::Run::start([ 'node', "$tools/$program", @arguments ], '<', \$in, '>', \$out, '2>', \$err);
	for (1 .. 300)
	{
		$handle->pump_nb;
		last if $out =~ /ready/;
		usleep(100_000);
	}
	die "$program: $err" unless $out =~ /ready/;
	push @running, $handle;
	return $handle;
}

sub store_start
{
	my $port = free_ports();
	my $proxy = $port + 3;
	my $self = bless {
		dir => File::Temp::tempdir('shard-s3-XXXXXX', DIR => '/tmp', CLEANUP => 0) . '/s',
		port => $port, proxy => $proxy, key => 'LAKETESTKEY', secret => 'a/secret+that-must=not_show',
		endpoint => "http://127.0.0.1:$proxy"
	}, __PACKAGE__;
	push @running, $self;
	IPC::Run::run([ "$tools/object-store.sh", 'start', $self->{dir}, $port, $self->{key}, $self->{secret} ])
	  or die 'the S3 server does not start';
	start_tool('fault-proxy.mjs', $proxy, $port);
	return $self;
}

# Run s3.mjs, which talks to the server without the proxy.
sub client
{
	my ($self, $input, @arguments) = @_;
	local $ENV{S3_ENDPOINT} = "http://127.0.0.1:$self->{port}";
	local $ENV{S3_KEY} = $self->{key};
	local $ENV{S3_SECRET} = $self->{secret};
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'node', "$tools/s3.mjs", @arguments ], '<', \$input, '>', \$out, '2>', \$err)
	  or die "s3.mjs @arguments: $err";
	return $out;
}

sub make_bucket { my ($self, $name) = @_; return $self->client('', 'make-bucket', "s3://$name"); }
sub list { my ($self, $url) = @_; return split /\n/, $self->client('', 'list', $url); }

sub ask_proxy
{
	my ($self, $method, $path) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{proxy}) or die "proxy: $!";
	print $socket "$method $path HTTP/1.0\r\nContent-Length: 0\r\n\r\n";
	local $/;
	my $answer = <$socket>;
	return $answer =~ s/^.*?\r\n\r\n//sr;
}

sub fault
{
	my ($self, $mode, %options) = @_;
	$self->ask_proxy('POST', "/__fault?mode=$mode" . join('', map { "&$_=$options{$_}" } sort keys %options));
	return;
}

# What has been asked of the server since the last call.
sub requests { my ($self) = @_; return @{ JSON::PP->new->decode($self->ask_proxy('GET', '/__requests')) }; }

# SQL that makes a foreign server use it.
sub options { my ($self) = @_; return "endpoint '$self->{endpoint}'"; }
sub credentials
{
	my ($self) = @_;
	return "access_key_id '$self->{key}', secret_access_key '$self->{secret}'";
}

END
{
	my $status = $?;
	for my $thing (reverse @running)
	{
		if (ref $thing eq __PACKAGE__)
		{
			system("$tools/object-store.sh", 'stop', $thing->{dir});
			system('rm', '-rf', $thing->{dir} =~ s{/s$}{}r);
		}
		else
		{
			$thing->kill_kill(grace => 2);
		}
	}
	$? = $status;
}

1;
